import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ConfigInput, type ConfigKey, type Found, loadConfig, planReload } from "@shardcast/config";
import { onHangUp } from "@shardcast/process";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ConfigReloader, noReloads } from "../src/reloader.ts";

let folder: string;
let file: string;
beforeEach(() => {
	folder = mkdtempSync(join(tmpdir(), "reload-"));
	file = join(folder, "shardcast.yaml");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe("B9: reading the settings again", () => {
	const plan = (before: string, after: string, running = {}) => {
		writeFileSync(file, before);
		const started = loadConfig({ file }).config;
		writeFileSync(file, after);
		return planReload({ command: "multi", started, running: { ...started, ...running }, next: loadConfig({ file }) });
	};

	it("applies what can change and keeps the rest, which it names", () => {
		const { config, applied, waiting } = plan("batch: 32\nring: 64\n", "batch: 16\nring: 128\nlogLevel: warn\n");
		expect(applied.map(({ key, from, to }) => `${key} ${from} ${to}`)).toEqual(["batch 32 16", "logLevel info warn"]);
		expect(waiting.map(({ key, from, to }) => `${key} ${from} ${to}`)).toEqual(["ring 64 128"]);
		expect(config).toMatchObject({ batch: 16, logLevel: "warn", ring: 64 });
	});

	it("leaves alone what the machine decided at the start, and settings of the other command", () => {
		const { config, applied, waiting } = plan("addr: :1\n", "addr: :2\nbatch: 1\n", { shards: 7, basePort: 4000 });
		expect(applied.map(({ key }) => key)).toEqual(["batch"]);
		expect(waiting).toEqual([]);
		expect(config).toMatchObject({ shards: 7, basePort: 4000 });
	});

	it("names a change that waits for a restart each time, until it is taken back", () => {
		expect(plan("ring: 64\n", "ring: 128\n").waiting).toHaveLength(1);
		expect(plan("ring: 64\n", "ring: 64\n").waiting).toHaveLength(0);
	});

	it("hides secrets", () => {
		const { applied } = plan("apiKey: first-secret\n", "apiKey: second-secret\nconsoleToken: third-secret\n");
		expect(applied).toEqual([
			{ key: "apiKey", from: "set (hidden)", to: "another (hidden)" },
			{ key: "consoleToken", from: "not set", to: "set (hidden)" },
		]);
	});

	it("refuses what does not go together with a setting that is fixed", () => {
		// The new file alone is right, but the old length of messages still holds.
		expect(() => plan("maxPayload: 64KiB\n", "maxPayload: 4KiB\nmaxBuffered: 8KiB\n")).toThrow(/maxBuffered: a message of 64KiB/);
	});
});

describe("B9: an attempt to reload", () => {
	const setup = (input: ConfigInput, apply?: () => void) => {
		const lines: { level: string; fields: unknown; text: string }[] = [];
		const say = (level: string) => (fields: unknown, text?: string) =>
			void lines.push(text === undefined ? { level, fields: null, text: fields as string } : { level, fields, text });
		const log = { level: "info", debug: say("debug"), info: say("info"), warn: say("warn"), error: say("error"), child: () => log };
		const events: string[] = [];
		const counts = noReloads();
		const started = loadConfig(input).config;
		const state = { config: started };
		const reloader = new ConfigReloader({
			command: "single",
			input,
			started,
			running: () => state.config,
			apply: (config) => {
				apply?.();
				state.config = config;
				log.level = config.logLevel;
			},
			counts,
			log,
			tell: (level, text) => events.push(`${level} ${text}`),
		});
		return { reloader, lines, events, counts, state, log };
	};

	it("gives one line, counts, and tells the console", () => {
		writeFileSync(file, "messageRate: 5\n");
		const { reloader, lines, events, counts, state } = setup({ file });
		writeFileSync(file, "messageRate: 7\nmaxPayload: 1KiB\n");
		expect(reloader.reload()).toBe("applied");
		const sentence = `configuration reloaded from ${file}: messageRate 5 → 7; only a restart brings maxPayload 64KiB → 1KiB: stop shardcast and start it again`;
		expect(lines).toEqual([
			{ level: "warn", fields: { applied: { messageRate: "5 → 7" }, waiting: { maxPayloadBytes: "64KiB → 1KiB" } }, text: sentence },
		]);
		expect(events).toEqual([`warn ${sentence}`]);
		expect(state.config).toMatchObject({ messageRate: 7, maxPayloadBytes: 65_536 });
		writeFileSync(file, "messageRate: 7\n");
		expect(reloader.reload()).toBe("unchanged");
		expect(counts).toEqual({ applied: 1, unchanged: 1, rejected: 0, no_file: 0 });
	});

	it("a flag and the environment still go before the file", () => {
		writeFileSync(file, "batch: 1\nmessageRate: 1\n");
		const flags = new Map<ConfigKey, Found>([["batch", { raw: "9", source: { kind: "flag", name: "--batch" } }]]);
		const { reloader, state } = setup({ file, flags, environment: { SHARDCAST_MESSAGE_RATE: "8" } });
		writeFileSync(file, "batch: 2\nmessageRate: 2\n");
		expect(reloader.reload()).toBe("unchanged");
		expect(state.config).toMatchObject({ batch: 9, messageRate: 8 });
	});

	it("a bad file changes nothing, and the line names file and line", () => {
		writeFileSync(file, "messageRate: 5\n");
		const { reloader, lines, events, counts, state } = setup({ file });
		writeFileSync(file, "messageRate: 6\nbatch: none\nlogLevel: loud\n");
		expect(reloader.reload()).toBe("rejected");
		expect(state.config.messageRate).toBe(5);
		expect(lines).toHaveLength(1);
		expect(lines[0]).toMatchObject({ level: "error" });
		expect(lines[0]!.text).toContain(`the settings stay as they were: ${file}:2: batch: "none" is not`);
		expect(lines[0]!.text).toContain(`; ${file}:3: logLevel: "loud" is not one of`);
		expect(events).toHaveLength(1);
		rmSync(file);
		expect(reloader.reload()).toBe("rejected");
		expect(counts.rejected).toBe(2);
	});

	const bomb = [
		"batch: &a [x,x,x,x,x,x,x,x,x]",
		...[..."bcdefgh"].map((name, i) => `k${i}: &${name} [${Array(9).fill(`*${"abcdefg"[i]}`)}]`),
	];
	it.each<[string, () => void, RegExp]>([
		["an alias without its anchor", () => writeFileSync(file, "messageRate: *fast\n"), /shardcast\.yaml:1: messageRate: .*alias/],
		["a bomb of aliases", () => writeFileSync(file, bomb.join("\n")), /shardcast\.yaml:\d+: /],
		["an anchor within itself", () => writeFileSync(file, "batch: &x [*x]\n"), /shardcast\.yaml:1: batch: /],
		["deep brackets", () => writeFileSync(file, `batch: ${"[".repeat(50_000)}`), /shardcast\.yaml:1: /],
		["deep brackets that close", () => writeFileSync(file, `batch: ${"[".repeat(500)}${"]".repeat(500)}\n`), /shardcast\.yaml:1: batch: /],
		[
			"bytes that are no text",
			() => writeFileSync(file, Buffer.from(Array.from({ length: 60_000 }, (_, i) => (i * 7919) % 251))),
			/shardcast\.yaml/,
		],
		["a file that is too long", () => writeFileSync(file, `# ${"x".repeat(300_000)}\n`), /longer than 256KiB/],
		["a key twice", () => writeFileSync(file, "batch: 1\nring: 64\nbatch: 2\n"), /shardcast\.yaml:3: "batch" is there twice/],
		["a loop of links", () => symlinkSync(file, file), /ELOOP/],
		["a directory", () => mkdirSync(file), /no regular file/],
		[
			"a file in what is no directory",
			() => {
				rmSync(folder, { recursive: true });
				writeFileSync(folder, "");
			},
			/ENOTDIR/,
		],
		["nothing there", () => {}, /does not exist/],
	])("whatever is wrong with the file, the settings stay: %s", (_, spoil, reason) => {
		writeFileSync(file, "messageRate: 5\n");
		const { reloader, lines, counts, state } = setup({ file });
		const before = state.config;
		rmSync(file);
		spoil();
		expect(reloader.reload()).toBe("rejected");
		expect(state.config).toBe(before);
		expect(counts).toEqual({ ...noReloads(), rejected: 1 });
		expect(lines).toEqual([{ level: "error", fields: expect.anything(), text: expect.stringMatching(reason) }]);
		// One line in a log, not a copy of the file.
		expect(lines[0]!.text.length).toBeLessThan(6000);
		expect(lines[0]!.text).not.toMatch(/[\n\r]/);
	});

	it("many keys cost time in proportion to their number", () => {
		writeFileSync(file, "messageRate: 5\n");
		const { reloader, lines } = setup({ file });
		writeFileSync(file, Array.from({ length: 20_000 }, (_, i) => `key${i}: 1`).join("\n"));
		const before = process.cpuUsage();
		expect(reloader.reload()).toBe("rejected");
		// A second; with time in proportion to the square of the number it would be ten.
		expect(process.cpuUsage(before).user).toBeLessThan(5_000_000);
		expect(lines[0]!.text).toContain("and 19980 more");
	});

	it("a file that may not be read", () => {
		writeFileSync(file, "messageRate: 5\n");
		const { reloader, lines } = setup({ file });
		chmodSync(file, 0);
		const user = process.geteuid!();
		// Root may read everything.
		if (user === 0) process.seteuid!(65_534);
		try {
			expect(reloader.reload()).toBe("rejected");
		} finally {
			if (user === 0) process.seteuid!(user);
		}
		expect(lines[0]!.text).toContain("may not be read");
	});

	it("settings that can't be brought into force are a rejection too, whatever the error", () => {
		writeFileSync(file, "messageRate: 5\n");
		const { reloader, lines, counts } = setup({ file }, () => {
			throw new TypeError("a bug");
		});
		writeFileSync(file, "messageRate: 6\n");
		expect(reloader.reload()).toBe("rejected");
		expect(counts.rejected).toBe(1);
		// Nobody foresaw it, so where it comes from is said.
		expect(lines).toEqual([
			{ level: "error", fields: { problems: ["a bug"], err: expect.any(TypeError) }, text: expect.stringContaining("a bug") },
		]);
	});

	it("a file that was a pipe is not taken for an empty one", () => {
		execFileSync("mkfifo", [file]);
		const regular = join(folder, "regular.yaml");
		writeFileSync(regular, "messageRate: 5\n");
		const input = { file: regular };
		const { reloader, state, lines } = setup(input);
		input.file = file;
		expect(reloader.reload()).toBe("rejected");
		expect(lines[0]!.text).toContain("no regular file");
		expect(state.config.messageRate).toBe(5);
	});

	it("without a file it says so", () => {
		const { reloader, lines } = setup({});
		expect(reloader.reload()).toBe("no_file");
		expect(lines.map(({ text }) => text)).toEqual([expect.stringContaining("there is no config file to read again; start with --config")]);
	});

	it.each([
		["info", "error"],
		["error", "info"],
	])("says so when the level goes from %s to %s", (from, to) => {
		writeFileSync(file, `logLevel: ${from}\n`);
		const { reloader, lines, log } = setup({ file });
		log.level = from;
		const levels: string[] = [];
		const info = log.info;
		log.info = (fields: unknown, text?: string) => {
			levels.push(log.level);
			info(fields, text);
		};
		writeFileSync(file, `logLevel: ${to}\n`);
		reloader.reload();
		expect(lines[0]!.text).toContain(`logLevel ${from} → ${to}`);
		expect({ levels, after: log.level }).toEqual({ levels: ["info"], after: to });
	});
});

describe("SIGHUP", () => {
	it("reloads, unless the terminal that was there is gone", () => {
		const calls: string[] = [];
		let terminal = true;
		const forget = onHangUp({ reload: () => calls.push("reload"), leave: () => calls.push("leave"), hasTerminal: () => terminal });
		process.emit("SIGHUP");
		terminal = false;
		process.emit("SIGHUP");
		forget();
		const forgetService = onHangUp({ reload: () => calls.push("service"), leave: () => calls.push("leave"), hasTerminal: () => false });
		process.emit("SIGHUP");
		forgetService();
		expect(calls).toEqual(["reload", "leave", "service"]);
	});
});

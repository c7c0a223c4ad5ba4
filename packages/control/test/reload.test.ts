import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ConfigInput, type ConfigKey, type FoundValue, loadConfig, planReload } from "@shardcast/config";
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

describe("reading all options again", () => {
	const plan = (before: string, after: string, running = {}) => {
		writeFileSync(file, before);
		const started = loadConfig({ file }).config;
		writeFileSync(file, after);
		return planReload({ command: "multi", started, running: { ...started, ...running }, next: loadConfig({ file }) });
	};

	it("applies what can change and keeps the rest, which it names", () => {
		const { config, applied, waiting } = plan("shard: {batch: 32, ring: 64}\n", "shard: {batch: 16, ring: 128}\nlog: {level: warn}\n");
		expect(applied.map(({ path, from, to }) => `${path} ${from} ${to}`)).toEqual(["shard.batch 32 16", "log.level info warn"]);
		expect(waiting.map(({ path, from, to }) => `${path} ${from} ${to}`)).toEqual(["shard.ring 64 128"]);
		expect(config).toMatchObject({ batch: 16, logLevel: "warn", ring: 64 });
	});

	it("names the options of compression as such that need a restart", () => {
		const { applied, waiting } = plan("websocket: {compression: false}\n", "websocket: {compression: true, compression_min_size: 1KiB}\n");
		expect(applied).toEqual([]);
		expect(waiting.map(({ path }) => path)).toEqual(["websocket.compression", "websocket.compression_min_size"]);
	});

	it("leaves alone what the machine decided at the start, and options of the other command", () => {
		const { config, applied, waiting } = plan("single: {address: :1}\n", "single: {address: :2}\nshard: {batch: 1}\n", {
			shards: 7,
			basePort: 4000,
		});
		expect(applied.map(({ key }) => key)).toEqual(["batch"]);
		expect(waiting).toEqual([]);
		expect(config).toMatchObject({ shards: 7, basePort: 4000 });
	});

	it("names a change that waits for a restart each time, until it is taken back", () => {
		expect(plan("shard: {ring: 64}\n", "shard: {ring: 128}\n").waiting).toHaveLength(1);
		expect(plan("shard: {ring: 64}\n", "shard: {ring: 64}\n").waiting).toHaveLength(0);
	});

	it("hides secrets", () => {
		const { applied } = plan("http_api: {key: first-secret}\n", "http_api: {key: second-secret}\nconsole: {token: third-secret}\n");
		expect(applied).toEqual([
			{ key: "apiKey", path: "http_api.key", from: "set (hidden)", to: "another (hidden)" },
			{ key: "consoleToken", path: "console.token", from: "not set", to: "set (hidden)" },
		]);
	});

	it("hides the keys of a list", () => {
		const keys = (key: string) => `http_api: {keys: [{name: backend, key: ${key}}]}\n`;
		const { applied, config } = plan(keys("first-secret"), keys("second-secret"));
		expect(JSON.stringify(applied)).toMatch(/http_api\.keys.*another \(hidden\)/);
		expect(JSON.stringify(applied)).not.toContain("-secret");
		expect(config.apiKeys[0]!.key).toBe("second-secret");
	});

	it.each([
		["http_api: {key: first-secret}\n", "log: {level: warn}\n", /^http_api\.key: .*"key: none" in the section "http_api"/],
		["console: {token: first-secret}\n", "http_api: {key:}\n", /^console\.token: /],
	])("leaving a secret out does not take it away: %s", (before, after, reason) => {
		expect(() => plan(before, after)).toThrow(reason);
	});

	it("`none` takes a secret away, and a flag or the environment brings its own", () => {
		const { applied, config } = plan("http_api: {key: first-secret}\n", "http_api: {key: none}\n");
		expect(applied.map(({ path, from, to }) => `${path} ${from} ${to}`)).toEqual(["http_api.key set (hidden) not set"]);
		expect(config.apiKey).toBeUndefined();
		const before = loadConfig({ file, environment: { SHARDCAST_API_KEY: "first-secret" } });
		expect(planReload({ command: "multi", started: before.config, running: before.config, next: before }).applied).toEqual([]);
	});

	it("refuses what does not go together with an option that is fixed", () => {
		// The new file alone is right, but the old length of messages still holds.
		expect(() => plan("limits: {max_payload: 64KiB}\n", "limits: {max_payload: 4KiB}\nclient: {queue_max_size: 8KiB}\n")).toThrow(
			/client\.queue_max_size: a message of 64KiB/,
		);
	});
});

describe("an attempt to reload", () => {
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
		writeFileSync(file, "limits: {message_rate: 5}\n");
		const { reloader, lines, events, counts, state } = setup({ file });
		writeFileSync(file, "limits: {message_rate: 7, max_payload: 1KiB}\n");
		expect(reloader.reload()).toBe("applied");
		const sentence = `configuration reloaded from ${file}: limits.message_rate 5 → 7; only a restart brings limits.max_payload 64KiB → 1KiB: stop shardcast and start it again`;
		expect(lines).toEqual([
			{
				level: "warn",
				fields: { applied: { "limits.message_rate": "5 → 7" }, waiting: { "limits.max_payload": "64KiB → 1KiB" } },
				text: sentence,
			},
		]);
		expect(events).toEqual([`warn ${sentence}`]);
		expect(state.config).toMatchObject({ messageRate: 7, maxPayloadBytes: 65_536 });
		writeFileSync(file, "limits: {message_rate: 7}\n");
		expect(reloader.reload()).toBe("unchanged");
		expect(counts).toEqual({ applied: 1, unchanged: 1, rejected: 0, no_file: 0 });
	});

	it("a flag and the environment still go before the file, and the line says so", () => {
		writeFileSync(file, "shard: {batch: 1}\nlimits: {message_rate: 1}\n");
		const flags = new Map<ConfigKey, FoundValue>([["batch", { raw: "9", layer: { kind: "flag", name: "--batch" } }]]);
		const { reloader, lines, state } = setup({ file, flags, environment: { SHARDCAST_MESSAGE_RATE: "8", SHARDCAST_SHARDS: "2" } });
		writeFileSync(file, "shard: {batch: 2}\nlimits: {message_rate: 2}\n");
		expect(reloader.reload()).toBe("unchanged");
		expect(state.config).toMatchObject({ batch: 9, messageRate: 8 });
		const nothing = `configuration reloaded from ${file}: no option that can change while running has changed`;
		const inVain = "shard.batch (--batch overrides it), limits.message_rate (SHARDCAST_MESSAGE_RATE overrides it)";
		expect(lines.map(({ text }) => text)).toEqual([`${nothing}; the file's values of these have no effect: ${inVain}`]);
		// One that is the same is not in vain, and one of another command is none of our business.
		writeFileSync(file, "shard: {batch: 9}\nlimits: {message_rate: 8}\ncluster: {shards: 3}\n");
		expect(reloader.reload()).toBe("unchanged");
		expect(lines[1]!.text).toBe(nothing);
	});

	it("a bad file changes nothing, and the line names file and line", () => {
		writeFileSync(file, "limits: {message_rate: 5}\n");
		const { reloader, lines, events, counts, state } = setup({ file });
		writeFileSync(file, "limits: {message_rate: 6}\nshard: {batch: none}\nlog: {level: loud}\n");
		expect(reloader.reload()).toBe("rejected");
		expect(state.config.messageRate).toBe(5);
		expect(lines).toHaveLength(1);
		expect(lines[0]).toMatchObject({ level: "error" });
		expect(lines[0]!.text).toContain(`all options keep their values: ${file}:2: shard.batch: "none" is not`);
		expect(lines[0]!.text).toContain(`; ${file}:3: log.level: "loud" is not one of`);
		expect(events).toHaveLength(1);
		rmSync(file);
		expect(reloader.reload()).toBe("rejected");
		expect(counts.rejected).toBe(2);
	});

	const bomb = [
		"shard:",
		"  batch: &a [x,x,x,x,x,x,x,x,x]",
		...[..."bcdefgh"].map(
			(name, i) => `  ${["workers", "ring", "flush_max"][i] ?? `k${i}`}: &${name} [${Array(9).fill(`*${"abcdefg"[i]}`)}]`,
		),
	];
	it.each<[string, () => void, RegExp]>([
		[
			"an alias without its anchor",
			() => writeFileSync(file, "limits:\n  message_rate: *fast\n"),
			/shardcast\.yaml:2: limits\.message_rate: .*alias/,
		],
		["a bomb of aliases", () => writeFileSync(file, bomb.join("\n")), /shardcast\.yaml:\d+: /],
		["an anchor within itself", () => writeFileSync(file, "shard: {batch: &x [*x]}\n"), /shardcast\.yaml:1: shard\.batch: /],
		["a section within itself", () => writeFileSync(file, "kafka: &x\n  tls: *x\n"), /shardcast\.yaml:2: unknown key "kafka\.tls\.tls"/],
		["a section that is no table", () => writeFileSync(file, "kafka: *x\n"), /shardcast\.yaml:1: kafka: is not a table of options/],
		["deep brackets", () => writeFileSync(file, `shard: {batch: ${"[".repeat(5000)}`), /shardcast\.yaml:1: /],
		[
			"deep brackets that close",
			() => writeFileSync(file, `shard: {batch: ${"[".repeat(500)}${"]".repeat(500)}}\n`),
			/shardcast\.yaml:1: shard\.batch: /,
		],
		[
			"bytes that are no text",
			() => writeFileSync(file, Buffer.from(Array.from({ length: 60_000 }, (_, i) => (i * 7919) % 251))),
			/shardcast\.yaml/,
		],
		["a file that is too long", () => writeFileSync(file, `# ${"x".repeat(300_000)}\n`), /longer than 256KiB/],
		["a key twice", () => writeFileSync(file, "shard:\n  batch: 1\n  batch: 2\n"), /shardcast\.yaml:3: "shard\.batch" appears twice/],
		["nothing in it any more", () => writeFileSync(file, ""), /shardcast\.yaml: has no options in it.*restart/],
		["only a comment", () => writeFileSync(file, "# limits\n\n"), /has no options in it/],
		["cut off behind a section's name", () => writeFileSync(file, "limits:\n"), /has no options in it/],
		["a loop of links", () => symlinkSync(file, file), /ELOOP/],
		["a directory", () => mkdirSync(file), /not a regular file/],
		[
			"a file in what is no directory",
			() => {
				rmSync(folder, { recursive: true });
				writeFileSync(folder, "");
			},
			/ENOTDIR/,
		],
		["nothing there", () => {}, /does not exist/],
	])("whatever is wrong with the file, the options stay: %s", (_, spoil, reason) => {
		writeFileSync(file, "limits: {message_rate: 5}\n");
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

	it("many keys cost time in proportion to their number", { tags: ["long"] }, () => {
		writeFileSync(file, "limits: {message_rate: 5}\n");
		const { reloader, lines } = setup({ file });
		writeFileSync(file, Array.from({ length: 20_000 }, (_, i) => `key${i}: 1`).join("\n"));
		const before = process.cpuUsage();
		expect(reloader.reload()).toBe("rejected");
		// A second; with time in proportion to the square of the number it would be ten.
		expect(process.cpuUsage(before).user).toBeLessThan(5_000_000);
		expect(lines[0]!.text).toContain("and 19980 more");
	});

	it("a file that may not be read", () => {
		writeFileSync(file, "limits: {message_rate: 5}\n");
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

	it("options that can't be brought into force are a rejection too, whatever the error", () => {
		writeFileSync(file, "limits: {message_rate: 5}\n");
		const { reloader, lines, counts } = setup({ file }, () => {
			throw new TypeError("a bug");
		});
		writeFileSync(file, "limits: {message_rate: 6}\n");
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
		writeFileSync(regular, "limits: {message_rate: 5}\n");
		const input = { file: regular };
		const { reloader, state, lines } = setup(input);
		input.file = file;
		expect(reloader.reload()).toBe("rejected");
		expect(lines[0]!.text).toContain("not a regular file");
		expect(state.config.messageRate).toBe(5);
	});

	it("without a file it says so", () => {
		const { reloader, lines } = setup({});
		expect(reloader.reload()).toBe("no_file");
		expect(lines.map(({ text }) => text)).toEqual([expect.stringContaining("there is no config file to reload; start with --config")]);
	});

	it.each([
		["info", "error"],
		["error", "info"],
	])("says so when the level goes from %s to %s", (from, to) => {
		writeFileSync(file, `log: {level: ${from}}\n`);
		const { reloader, lines, log } = setup({ file });
		log.level = from;
		const levels: string[] = [];
		const info = log.info;
		log.info = (fields: unknown, text?: string) => {
			levels.push(log.level);
			info(fields, text);
		};
		writeFileSync(file, `log: {level: ${to}}\n`);
		reloader.reload();
		expect(lines[0]!.text).toContain(`log.level ${from} → ${to}`);
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

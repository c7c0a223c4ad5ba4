import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Heartbeat } from "@shardcast/wire";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ConfigError } from "../src/load/config-error.ts";
import { type LoadedConfig, loadConfig, settingNames } from "../src/load/load.ts";
import { formatConfig } from "../src/load/print.ts";
import { describeSource } from "../src/load/source.ts";
import { connectionsPerShard, ringCapacityBytes } from "../src/options/derive.ts";
import { type ConfigKey, configKeys, environmentName, fileKey, optionOf, sections } from "../src/options/options.ts";

let folder: string;
beforeEach(() => {
	folder = mkdtempSync("/tmp/shardcast-config-");
});
afterEach(() => rmSync(folder, { recursive: true }));

function file(text: string): string {
	const path = join(folder, "shardcast.yaml");
	writeFileSync(path, text);
	return path;
}

/** `flags` as on the command line, by key. */
function load(flags: Partial<Record<ConfigKey, unknown>>, environment: NodeJS.ProcessEnv = {}, yaml?: string): LoadedConfig {
	const found = (Object.entries(flags) as [ConfigKey, unknown][]).map(([key, raw]) => {
		return [key, { raw, source: { kind: "flag", name: `--${optionOf(key).flag}` } }] as const;
	});
	return loadConfig({ flags: new Map(found), environment, file: yaml === undefined ? undefined : file(yaml) });
}

function mistakesOf(run: () => unknown): readonly string[] {
	try {
		run();
	} catch (error) {
		if (error instanceof ConfigError) return error.lines.map((line) => line.replaceAll(folder, "."));
		throw error;
	}
	throw new Error("nothing was wrong");
}

describe("precedence", () => {
	const yaml = "batch: 3\nring: 300\nworkers: 3\n";
	const environment = { SHARDCAST_BATCH: "2", SHARDCAST_RING: "200" };

	it("a flag goes before the environment, the environment before the file, the file before the default", () => {
		const { config, sources } = load({ batch: "1" }, environment, yaml);
		expect(config).toMatchObject({ batch: 1, ring: 200, workers: 3, basePort: 3002 });
		const places = (["batch", "ring", "workers", "basePort"] as const).map((key) => describeSource(sources[key]).replaceAll(folder, "."));
		expect(places).toEqual(["--batch", "SHARDCAST_RING", "./shardcast.yaml:3: workers", "default"]);
	});

	it("an empty variable and a key without a value count as not set", () => {
		const { config } = load({}, { SHARDCAST_BATCH: "" }, "ring:\nbatch: 5\n");
		expect(config).toMatchObject({ ring: 2048, batch: 5 });
	});

	it("the environment may name the file, and the flag names another", () => {
		const path = file("batch: 9\n");
		expect(loadConfig({ environment: { SHARDCAST_CONFIG: path } })).toMatchObject({ file: path, config: { batch: 9 } });
		const mistakes = mistakesOf(() => loadConfig({ environment: { SHARDCAST_CONFIG: path }, file: "/missing.yaml" }));
		expect(mistakes).toEqual(["--config: the config file /missing.yaml does not exist; name another or leave it out"]);
	});

	it("a switch can be taken back, and --debug is the level debug", () => {
		expect(load({ debug: false }, { SHARDCAST_DEBUG: "1" }).config).toMatchObject({ debug: false, logLevel: "info" });
		const { config, sources } = load({}, { SHARDCAST_DEBUG: "true" });
		expect(config.logLevel).toBe("debug");
		expect(describeSource(sources.logLevel)).toBe("SHARDCAST_DEBUG");
	});
});

describe("values", () => {
	it("B2, M1: the defaults of the two described servers", () => {
		expect(loadConfig().config).toMatchObject({
			addr: ":9002",
			batch: 64,
			ring: 2048,
			workers: 0,
			numa: -1,
			basePort: 3002,
			lbAddr: ":3005",
			maxConnections: 12_000,
			shutdownTimeoutMs: 30_000,
		});
	});

	it("are the same from text and from YAML", () => {
		const fromText = load({ cpus: "0-2", allowedOrigins: "https://a.example, https://b.example", shutdownTimeoutMs: "5s", debug: "true" });
		const fromYaml = load(
			{},
			{},
			"cpus: [0, 1, 2]\nallowedOrigins:\n  - https://a.example\n  - https://b.example\nshutdownTimeout: 5s\ndebug: true\n",
		);
		expect(fromYaml.config).toEqual(fromText.config);
	});

	it("are frozen, with their lists, and survive the trip to another process", () => {
		const { config } = load({ cpus: "0,1", apiKey: "12345678" });
		expect(Object.isFrozen(config)).toBe(true);
		expect(Object.isFrozen(config.cpus)).toBe(true);
		expect(JSON.parse(JSON.stringify(config))).toEqual(config);
	});

	it("zero switches off where the help says so, and is refused elsewhere", () => {
		expect(load({ flushMaxMs: "0", idleTimeoutMs: "0", messageRate: "0" }).config).toMatchObject({
			flushMaxMs: 0,
			idleTimeoutMs: 0,
			messageRate: 0,
		});
		// Five heartbeats: with less, a late one would kill a healthy process.
		expect(mistakesOf(() => load({ heartbeatTimeoutMs: "999ms" }))).toEqual(['--heartbeat-timeout: "999ms" is not between 1s and 1h']);
		expect(load({ heartbeatTimeoutMs: "1s" }).config.heartbeatTimeoutMs).toBeGreaterThanOrEqual(5 * Heartbeat.everyMs);
		expect(mistakesOf(() => load({ headTimeoutMs: "0" }))).toEqual(['--head-timeout: "0" is not between 100ms and 5m']);
	});
});

describe("every wrong value is one line that names its place and the fix", () => {
	it.each<[Partial<Record<ConfigKey, unknown>>, NodeJS.ProcessEnv, string | undefined, string]>([
		[{ shards: "two" }, {}, undefined, '--shards: "two" is not a whole number from 0 to 64'],
		[{ shards: "65" }, {}, undefined, '--shards: "65" is not a whole number from 0 to 64'],
		[{ shards: "1.5" }, {}, undefined, '--shards: "1.5" is not a whole number from 0 to 64'],
		[{ batch: "" }, {}, undefined, '--batch: "" is not a whole number from 1 to 65536'],
		[{}, { SHARDCAST_LB_MODE: "magic" }, undefined, 'SHARDCAST_LB_MODE: "magic" is not one of auto, handoff, proxy'],
		[{}, {}, "batch: 1\nlbAddr: 80\n", './shardcast.yaml:2: lbAddr: "80" is not an address; write :3005, 127.0.0.1:3005 or [::1]:3005'],
		[{}, {}, "shutdownTimeout: 30\n", './shardcast.yaml:1: shutdownTimeout: "30" has no unit; write 30s or 30ms'],
		[{}, {}, "debug: maybe\n", './shardcast.yaml:1: debug: "maybe" is neither true nor false'],
		[{}, {}, "shards: {a: 1}\n", './shardcast.yaml:1: shards: "{"a":1}" is neither text nor a number'],
		[{}, {}, "shards: [1]\n", './shardcast.yaml:1: shards: "[1]" is neither text nor a number'],
		[{}, {}, "cpus: [0, x]\n", './shardcast.yaml:1: cpus: "[0,"x"]" is not a list of CPUs; write 0,1 or 0-3'],
		[{ maxPayloadBytes: "1TiB" }, {}, undefined, '--max-payload: "1TiB" has the unknown unit "TiB"; use B, KiB, MiB or GiB'],
		[{ clusterDirectory: "here" }, {}, undefined, '--cluster-directory: "here" is not an absolute path'],
		[{ host: "a b\nc" }, {}, undefined, '--host: "a b c" is not a host name or an IP address'],
	])("%j %j %j", (flags, environment, yaml, line) => {
		expect(mistakesOf(() => load(flags, environment, yaml))).toEqual([line]);
	});

	it("several wrong values give several lines, the one overridden none", () => {
		const lines = mistakesOf(() => load({ batch: "x", ring: "64" }, { SHARDCAST_WORKERS: "y", SHARDCAST_RING: "z" }));
		expect(lines).toEqual([
			'SHARDCAST_WORKERS: "y" is not a whole number from 0 to 256',
			'--batch: "x" is not a whole number from 1 to 65536',
		]);
	});

	it("a secret is not shown", () => {
		expect(mistakesOf(() => load({ apiKey: "swordfi" }))).toEqual([
			"--api-key: the value must have at least 8 characters and no white space",
		]);
		expect(mistakesOf(() => load({}, {}, "apiKey: [swordfish]\nx: 1\n")).join()).not.toContain("swordfish");
	});

	it.each<[Partial<Record<ConfigKey, unknown>>, string]>([
		[{ shards: "3", basePort: "65534" }, "--base-port: 3 shards from port 65534 would end at 65536; choose at most 65533"],
		[{ shards: "3", maxConnections: "2" }, "--max-connections: 2 connections leave none for some of 3 shards; give at least 3"],
		[{ maxPayloadBytes: "2MiB" }, "--max-buffered: a message of 2MiB (--max-payload) would not fit; give at least that"],
		[
			{ restartBackoffMinMs: "1m" },
			"--restart-backoff-min: 1m is longer than the longest pause, 30s (--restart-backoff-max); give at most that",
		],
	])("relations between settings: %j", (flags, line) => expect(mistakesOf(() => load(flags))).toEqual([line]));
});

describe("the file", () => {
	it.each([
		["shards: 2\nshrads: 3\n", ['./shardcast.yaml:2: unknown key "shrads"; did you mean "shards"?']],
		["LBADDR: 3\n", ['./shardcast.yaml:1: unknown key "LBADDR"; did you mean "lbAddr"?']],
		["colour: red\n", ['./shardcast.yaml:1: unknown key "colour"; `shardcast config print` shows all keys']],
		[
			"a: 1\nb: 2\n",
			[
				'./shardcast.yaml:1: unknown key "a"; `shardcast config print` shows all keys',
				'./shardcast.yaml:2: unknown key "b"; `shardcast config print` shows all keys',
			],
		],
		["shards: 2\n\nshards: 3\n", ['./shardcast.yaml:3: "shards" is there twice; leave one of them out']],
		["- 1\n", ['./shardcast.yaml:1: not a table of settings; write lines such as "shards: 3"']],
		["shards: [1\nx", ["./shardcast.yaml:2: Flow sequence in block collection must be sufficiently indented and end with a ]"]],
	])("%j", (yaml, lines) => {
		const mistakes = mistakesOf(() => load({}, {}, yaml));
		expect(mistakes.slice(0, lines.length)).toEqual(lines);
	});

	it("may be empty, or a comment", () => {
		expect(load({}, {}, "").config).toEqual(loadConfig().config);
		expect(load({}, {}, "# nothing\n").config).toEqual(loadConfig().config);
	});

	it("must be one: a device that never ends, a directory, a secret in a line with bad syntax", () => {
		expect(mistakesOf(() => loadConfig({ file: "/dev/zero" }))).toEqual(["--config: /dev/zero is longer than 256KiB; name a config file"]);
		expect(mistakesOf(() => loadConfig({ file: folder }))).toEqual([
			"--config: the config file . can't be read (EISDIR); name another or leave it out",
		]);
		for (const value of ['"swordfish', "*swordfish", "!swordfish", "|swordfish", "@swordfish", "{swordfish", "[*swordfish]"])
			expect(mistakesOf(() => load({}, {}, `apiKey: ${value}\n`)).join()).not.toContain("swordfish");
	});
});

it("a variable that looks like a misspelt setting is a warning; those that Kubernetes adds are none", () => {
	const environment = {
		SHARDCAST_SHRADS: "3",
		SHARDCAST_PORT: "tcp://10.0.0.1:3005",
		SHARDCAST_SERVICE_HOST: "10.0.0.1",
		SHARDCAST_CONFIG: "",
	};
	expect(loadConfig({ environment }).warnings).toEqual(["SHARDCAST_SHRADS: unknown environment variable; did you mean SHARDCAST_SHARDS?"]);
});

describe("all mistakes are told at once", () => {
	it("unknown keys, wrong values from everywhere, and what does not go together", () => {
		const yaml = [
			"shrads: 3",
			"batch: none",
			"apiKey: *swordfish",
			"allowedOrigins: trade.example",
			"restartBackoffMin: 1m",
			"maxPayload: 2MiB",
		];
		expect(mistakesOf(() => load({ workers: "y" }, { SHARDCAST_RING: "z" }, yaml.join("\n")))).toEqual([
			'./shardcast.yaml:1: unknown key "shrads"; did you mean "shards"?',
			"./shardcast.yaml:3: apiKey: Unresolved alias (the anchor must be set before the alias); write the value itself",
			'--workers: "y" is not a whole number from 0 to 256',
			'./shardcast.yaml:2: batch: "none" is not a whole number from 1 to 65536',
			'SHARDCAST_RING: "z" is not a whole number from 16 to 1048576',
			'./shardcast.yaml:4: allowedOrigins: "trade.example" has an origin without a scheme, trade.example; write https://trade.example',
			"--max-buffered: a message of 2MiB (./shardcast.yaml:6: maxPayload) would not fit; give at least that",
			"./shardcast.yaml:5: restartBackoffMin: 1m is longer than the longest pause, 30s (--restart-backoff-max); give at most that",
		]);
	});

	it("what depends on a wrong value is not judged", () => {
		// 30 MiB is no length of a message, so nobody knows whether it fits; nor how many shards there are to be.
		const yaml = "maxPayload: 30MiB\nshrads: 3\nmaxConnections: 2\nmaxBuffered: 2KiB\n";
		expect(mistakesOf(() => load({}, {}, yaml))).toEqual([
			expect.stringContaining('unknown key "shrads"'),
			expect.stringContaining('maxPayload: "30MiB"'),
		]);
	});

	it("each file that a setting names and that can't be read", () => {
		const flags = {
			kafkaBrokers: "a:1",
			kafkaTopics: "a",
			kafkaSsl: "true",
			kafkaSslCa: "/missing",
			kafkaSslCert: folder,
			kafkaSslKey: "/dev/null/x",
		};
		expect(mistakesOf(() => load(flags))).toEqual([
			"--kafka-ssl-ca: /missing does not exist; name a file that does",
			"--kafka-ssl-cert: . is no regular file; name one",
			"--kafka-ssl-key: /dev/null/x can't be read (ENOTDIR); change its mode or name another",
		]);
	});

	it("a file that can't be read hides no wrong flag, and leaves open what it may say", () => {
		expect(
			mistakesOf(() => loadConfig({ file: "/missing.yaml", environment: { SHARDCAST_RING: "z", SHARDCAST_KAFKA_TOPICS: "a" } })),
		).toEqual([
			"--config: the config file /missing.yaml does not exist; name another or leave it out",
			'SHARDCAST_RING: "z" is not a whole number from 16 to 1048576',
		]);
	});
});

describe("allowed origins", () => {
	it.each([
		["https://trade.example", ["https://trade.example"]],
		["https://Trade.Example:443/, http://localhost:3000", ["https://trade.example", "http://localhost:3000"]],
		["https://[::1]:8443", ["https://[::1]:8443"]],
		["*", ["*"]],
		["null", ["null"]],
		["capacitor://localhost,chrome-extension://abcdef", ["capacitor://localhost", "chrome-extension://abcdef"]],
		["", []],
	])("%s is kept as browsers send it", (text, origins) => {
		expect(load({ allowedOrigins: text }).config.allowedOrigins).toEqual(origins);
	});

	it.each([
		["trade.example", "has an origin without a scheme, trade.example; write https://trade.example"],
		["https://a.example,localhost:3000", "has an origin without a scheme, localhost:3000; write http://localhost:3000"],
		["127.0.0.1", "has an origin without a scheme, 127.0.0.1; write http://127.0.0.1"],
		["https://a.example/page", "has more than an origin, https://a.example/page; write https://a.example"],
		["https://a.example?x=1", "has more than an origin, https://a.example?x=1; write https://a.example"],
		["wss://a.example", "has the address of a WebSocket, wss://a.example; write its page's origin, such as https://a.example"],
		["https://*.a.example", "has a pattern, https://*.a.example; name each origin, or * for all"],
		["https://", "has no valid host in https://; write such as https://trade.example"],
		["https://user@a.example", "has more than an origin, https://user@a.example; write https://a.example"],
		["//a.example", "has an origin without a scheme, //a.example; write https://a.example"],
	])("%s is refused, with what to write", (text, why) => {
		expect(mistakesOf(() => load({ allowedOrigins: text }))).toEqual([`--allowed-origins: "${text}" ${why}`]);
	});
});

describe("config print", () => {
	it("shows each value with its source and hides secrets", () => {
		const text = formatConfig(load({ apiKey: "swordfish" }, { SHARDCAST_BATCH: "7" }));
		expect(text).toMatch(/^batch: +7 +# SHARDCAST_BATCH$/m);
		expect(text).toMatch(/^# apiKey: +set \(hidden\) +# --api-key$/m);
		expect(text).not.toContain("swordfish");
		for (const key of configKeys) expect(text).toContain(`${fileKey(key)}:`);
	});

	it("can be saved and read back as a config file that says the same", () => {
		const flags = { lbAddr: "[::1]:80", cpus: "0-3,8", allowedOrigins: "https://a.example,*", idleTimeoutMs: "90s", debug: "true" };
		const loaded = load(flags);
		expect(loadConfig({ file: file(formatConfig(loaded)) }).config).toEqual(loaded.config);
	});
});

describe("the table", () => {
	it("has one row per flag, variable and key, each with one sentence", () => {
		for (const spell of [(key: ConfigKey) => optionOf(key).flag, environmentName, fileKey])
			expect(new Set(configKeys.map(spell)).size).toBe(configKeys.length);
		for (const key of configKeys) expect(optionOf(key).help, key).toMatch(/^[A-Z].*[^.]\.$/);
		expect(Object.values(sections).flatMap((section) => Object.keys(section))).toEqual(configKeys);
	});

	it("has defaults that its own schemas accept as they are shown", () => {
		for (const key of configKeys) {
			const { default: value, schema, show, secret } = optionOf(key);
			if (secret) continue;
			const shown = show(value);
			expect(schema.safeParse(shown === "[]" ? [] : shown), key).toMatchObject({ success: true, data: value });
		}
	});

	it("names a setting by the place to fix it", () => {
		const name = settingNames(load({}, { SHARDCAST_CPUS: "0,9" }).sources);
		expect([name("cpus"), name("numa")]).toEqual(["SHARDCAST_CPUS", "--numa"]);
	});
});

it("derives ring capacity as a power of two that holds eight of the largest records", () => {
	expect(ringCapacityBytes({ ring: 2048, maxPayloadBytes: 65_536 })).toBe(2 ** 21);
	expect(ringCapacityBytes({ ring: 16, maxPayloadBytes: 65_536 })).toBe(2 ** 20);
	expect(ringCapacityBytes({ ring: 3000, maxPayloadBytes: 1 })).toBe(2 ** 22);
	expect(connectionsPerShard({ maxConnections: 12_000 }, 7) * 7).toBeGreaterThanOrEqual(12_000);
});

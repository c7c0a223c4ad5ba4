import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { arbitraryText } from "@shardcast/testkit/arbitraries";
import { Heartbeat } from "@shardcast/wire";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { checkValue } from "../src/load/check-value.ts";
import { ConfigError } from "../src/load/config-error.ts";
import { fromText } from "../src/load/file/file.ts";
import { describeLayer, type FoundValue } from "../src/load/layer.ts";
import { type LoadedConfig, loadConfig, optionNames } from "../src/load/load.ts";
import { configJson, formatConfig, yamlLines } from "../src/load/print.ts";
import { connectionsPerShard, ringCapacityBytes, stopDelayMs } from "../src/options/derive.ts";
import { autoCount } from "../src/options/kinds.ts";
import { type ConfigKey, configKeys, environmentName, filePath, optionOf, options, sections } from "../src/options/options.ts";
import { shapeOf } from "../src/options/shape.ts";

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
		return [key, { raw, layer: { kind: "flag", name: `--${optionOf(key).flag}` } }] as const;
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
	const yaml = "shard:\n  batch: 3\n  ring: 300\n  workers: 3\n";
	const environment = { SHARDCAST_BATCH: "2", SHARDCAST_RING: "200" };

	it("a flag overrides the environment, which overrides the file, which overrides the default", () => {
		const { config, layers } = load({ batch: "1" }, environment, yaml);
		expect(config).toMatchObject({ batch: 1, ring: 200, workers: 3, basePort: 3002 });
		const places = (["batch", "ring", "workers", "basePort"] as const).map((key) => describeLayer(layers[key]).replaceAll(folder, "."));
		expect(places).toEqual(["--batch", "SHARDCAST_RING", "./shardcast.yaml:4: shard.workers", "default"]);
	});

	it("an empty variable, and a key or a section without a value, count as not set", () => {
		const { config } = load({}, { SHARDCAST_BATCH: "" }, "shard:\n  ring:\n  batch: 5\nkafka:\nlog: ~\n");
		expect(config).toMatchObject({ ring: 2048, batch: 5 });
	});

	it("the environment may name the file, and the flag names another", () => {
		const path = file("shard: { batch: 9 }\n");
		expect(loadConfig({ environment: { SHARDCAST_CONFIG: path } })).toMatchObject({ file: path, config: { batch: 9 } });
		const mistakes = mistakesOf(() => loadConfig({ environment: { SHARDCAST_CONFIG: path }, file: "/missing.yaml" }));
		expect(mistakes).toEqual(["--config: the config file /missing.yaml does not exist; name another or leave it out"]);
	});

	it("a switch can be taken back, and --debug is the level debug", () => {
		expect(load({ debug: false }, { SHARDCAST_DEBUG: "1" }).config).toMatchObject({ debug: false, logLevel: "info" });
		const { config, layers } = load({}, { SHARDCAST_DEBUG: "true" });
		expect(config.logLevel).toBe("debug");
		expect(describeLayer(layers.logLevel)).toBe("SHARDCAST_DEBUG");
	});
});

describe("values", () => {
	it("the defaults of the two described servers", () => {
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
			"cluster:\n  cpus: [0, 1, 2]\nclient:\n  allowed_origins:\n    - https://a.example\n    - https://b.example\nshutdown:\n  timeout: 5s\nlog:\n  debug: true\n",
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
		[{ shards: "two" }, {}, undefined, '--shards: "two" is neither a whole number from 0 to 64 nor auto'],
		[{ shards: "65" }, {}, undefined, '--shards: "65" is neither a whole number from 0 to 64 nor auto'],
		[{ shards: "1.5" }, {}, undefined, '--shards: "1.5" is neither a whole number from 0 to 64 nor auto'],
		[{ batch: "" }, {}, undefined, '--batch: "" is not a whole number from 1 to 65536'],
		[{}, { SHARDCAST_LB_MODE: "magic" }, undefined, 'SHARDCAST_LB_MODE: "magic" is not one of auto, handoff, proxy'],
		[
			{},
			{},
			"balancer:\n  address: 80\n",
			'./shardcast.yaml:2: balancer.address: "80" is not an address; write :3005, 127.0.0.1:3005 or [::1]:3005',
		],
		[{}, {}, "shutdown: {timeout: 30}\n", './shardcast.yaml:1: shutdown.timeout: "30" has no unit; write 30s or 30ms'],
		[{}, {}, "log:\n\n  debug: maybe\n", './shardcast.yaml:3: log.debug: "maybe" is neither true nor false'],
		[{}, {}, "cluster:\n  shards: {a: 1}\n", './shardcast.yaml:2: cluster.shards: "{"a":"1"}" is neither text nor a number'],
		[{}, {}, "cluster:\n  shards: [1]\n", './shardcast.yaml:2: cluster.shards: "["1"]" is neither text nor a number'],
		[{}, {}, "cluster:\n  cpus: [0, x]\n", './shardcast.yaml:2: cluster.cpus: "["0","x"]" is not a list of CPUs; write 0,1 or 0-3'],
		[{ maxPayloadBytes: "1TiB" }, {}, undefined, '--max-payload: "1TiB" has the unknown unit "TiB"; use B, KiB, MiB, GiB, kB, MB or GB'],
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

	it("a key that is given where the path of a file belongs, or as a public key, is not shown", () => {
		const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
		const pem = privateKey.export({ type: "pkcs8", format: "pem" }) as string;
		const base64 = Buffer.from(pem).toString("base64");
		const certificates = ["tlsCert", "kafkaTlsCa", "kafkaTlsCert", "redisTlsCa", "redisTlsCert", "edgeNodesTlsCa", "remoteTlsCa"] as const;
		const keys = [...certificates, "tlsKey", "kafkaTlsKey", "redisTlsKey"] as const;
		for (const key of keys)
			for (const text of [pem, base64])
				expect(mistakesOf(() => load({ [key]: text }))).toEqual([
					`--${optionOf(key).flag}: the value is a key or a certificate, not the path of a file; write it to a file and name that`,
				]);
		const more = JSON.stringify([{ cert_pem_file: "/cert.pem", key_pem_file: pem }]);
		expect(mistakesOf(() => load({ tlsCertificates: more })).join()).not.toContain("BEGIN");
		expect(mistakesOf(() => load({ tokenEcdsaPublicKey: pem }))).toEqual([
			"--token-ecdsa-public-key: the value is a private key; give the public key that belongs to it",
		]);
	});

	it("a secret is not shown", () => {
		expect(mistakesOf(() => load({ apiKey: "swordfi" }))).toEqual([
			"--api-key: the value must have at least 8 characters and no white space",
		]);
		expect(mistakesOf(() => load({}, {}, "http_api:\n  key: [swordfish]\nx: 1\n")).join()).not.toContain("swordfish");
	});

	it.each<[Partial<Record<ConfigKey, unknown>>, string]>([
		[{ shards: "3", basePort: "65534" }, "--base-port: 3 shards from port 65534 would end at 65536; choose at most 65533"],
		[{ shardsMin: "5", shardsMax: "4" }, "--shards-min: at least 5 shards are more than the 4 that --shards-max allows; give at most 4"],
		[{ shards: "3", maxConnections: "2" }, "--max-connections: 2 connections leave none for some of 3 shards; give at least 3"],
		[
			{ maxBufferedTotalBytes: "512KiB" },
			"--max-buffered-total: 512KiB for all clients is less than --max-buffered, 1MiB for one; give at least that",
		],
		[{ maxPayloadBytes: "2MiB" }, "--max-buffered: a message of 2MiB (--max-payload) would not fit; give at least that"],
		[
			{ restartBackoffMinMs: "1m" },
			"--restart-backoff-min: 1m is longer than the longest pause, 30s (--restart-backoff-max); give at most that",
		],
	])("relations between options: %j", (flags, line) => expect(mistakesOf(() => load(flags))).toEqual([line]));
});

describe("the file", () => {
	it.each<[string, string[]]>([
		["cluster:\n  shards: 2\n  shrads: 3\n", ['./shardcast.yaml:3: unknown key "cluster.shrads"; did you mean "cluster.shards"?']],
		["LIMITS: {}\n", ['./shardcast.yaml:1: unknown key "LIMITS"; did you mean "limits"?']],
		["kafka:\n  tsl: {ca: x}\n", ['./shardcast.yaml:2: unknown key "kafka.tsl"; did you mean "kafka.tls"?']],
		["kafka:\n  tls: {enable: true}\n", ['./shardcast.yaml:2: unknown key "kafka.tls.enable"; did you mean "kafka.tls.enabled"?']],
		// A name that is right elsewhere, as it is, as a path, as a flag, and one that is nearly so.
		["shards: 3\n", ['./shardcast.yaml:1: unknown key "shards"; write "shards" in the section "cluster"']],
		["shard:\n  level: warn\n", ['./shardcast.yaml:2: unknown key "shard.level"; write "level" in the section "log"']],
		["limits.message_rate: 3\n", ['./shardcast.yaml:1: unknown key "limits.message_rate"; write "message_rate" in the section "limits"']],
		[
			"client: {max-buffered: 1MiB}\n",
			['./shardcast.yaml:1: unknown key "client.max-buffered"; write "queue_max_size" in the section "client"'],
		],
		["messageRate: 3\n", ['./shardcast.yaml:1: unknown key "messageRate"; write "message_rate" in the section "limits"']],
		["colour: red\n", ['./shardcast.yaml:1: unknown key "colour"; `shardcast config print` shows all keys']],
		[
			"a: 1\nlimits:\n  b: 2\n",
			[
				'./shardcast.yaml:1: unknown key "a"; `shardcast config print` shows all keys',
				'./shardcast.yaml:3: unknown key "limits.b"; `shardcast config print` shows all keys',
			],
		],
		["cluster:\n  shards: 2\n\n  shards: 3\n", ['./shardcast.yaml:4: "cluster.shards" appears twice; remove one of them']],
		["log:\n  level: warn\nlog:\n  level: loud\n", ['./shardcast.yaml:3: "log" appears twice; remove one of them']],
		["- 1\n", ['./shardcast.yaml:1: not a table of sections; write lines such as "log:" and, indented, "level: debug"']],
		[
			"kafka:\n  tls: true\n",
			['./shardcast.yaml:2: kafka.tls: is not a table of options; write them below it, indented, such as "enabled: …"'],
		],
		["log: [1\nx", ["./shardcast.yaml:2: Flow sequence in block collection must be sufficiently indented and end with a ]"]],
	])("%j", (yaml, lines) => {
		const mistakes = mistakesOf(() => load({}, {}, yaml));
		expect(mistakes.slice(0, lines.length)).toEqual(lines);
	});

	it("may be empty, or a comment", () => {
		expect(load({}, {}, "").config).toEqual(loadConfig().config);
		expect(load({}, {}, "# nothing\n").config).toEqual(loadConfig().config);
	});

	it("takes shards: auto, which is shown as that", () => {
		const { config } = load({}, {}, "cluster:\n  shards: auto\n");
		expect(config.shards).toBe(autoCount);
	});

	it("may be JSON, indented in any way", () => {
		const tree = { cluster: { shards: 3, cpus: [0, 1] }, client: { allowed_origins: ["https://a.example"] }, log: { debug: true } };
		for (const indent of [undefined, 2, "\t"]) {
			const { config } = load({}, {}, JSON.stringify(tree, null, indent));
			expect(config).toMatchObject({ shards: 3, cpus: [0, 1], allowedOrigins: ["https://a.example"], debug: true });
		}
		expect(mistakesOf(() => load({}, {}, '{\n\t"cluster": {\n\t\t"shards": "x"\n\t}\n}'))).toEqual([
			'./shardcast.yaml:3: cluster.shards: "x" is neither a whole number from 0 to 64 nor auto',
		]);
	});

	it("takes the names of Centrifugo for the files of the certificate, one name at a time", () => {
		const tls = (...lines: string[]) => `http_server:\n  tls:\n${lines.map((line) => `    ${line}\n`).join("")}`;
		const { config, layers } = load({}, {}, tls("enabled: true", "cert_pem: /c.pem", "key_pem: /k.pem"));
		expect(config).toMatchObject({ tlsEnabled: true, tlsCert: "/c.pem", tlsKey: "/k.pem" });
		expect(describeLayer(layers.tlsKey)).toMatch(/:5: http_server\.tls\.key_pem$/);
		expect(mistakesOf(() => load({}, {}, tls("cert_pem: /c.pem", "cert_pem_file: /d.pem")))).toEqual([
			'./shardcast.yaml:4: "http_server.tls.cert_pem_file" and "http_server.tls.cert_pem" are the same option; remove one of them',
		]);
		expect(mistakesOf(() => load({}, {}, tls("cert_pem_fil: /c.pem")))[0]).toContain('did you mean "http_server.tls.cert_pem_file"?');
		expect(formatConfig(load({}, {}, tls("cert_pem: /c.pem"))), "prints one name").not.toMatch(/^ {4}cert_pem:/m);
	});

	it("may say a section once and use it twice", () => {
		expect(load({}, {}, "balancer: &a\n  address: :80\nsingle: *a\n").config).toMatchObject({ lbAddr: ":80", addr: ":80" });
	});

	it("numbers stay as they are written: a key that is one keeps its zeros", () => {
		expect(load({}, {}, "http_api: {key: 0012345678}\nkafka: {group: 1e3}\n").config).toMatchObject({
			apiKey: "0012345678",
			kafkaGroup: "1e3",
		});
	});

	it("must be one: a device that never ends, a directory, a secret in a line with bad syntax", () => {
		expect(mistakesOf(() => loadConfig({ file: "/dev/zero" }))).toEqual(["--config: /dev/zero is longer than 256KiB; name a config file"]);
		expect(mistakesOf(() => loadConfig({ file: folder }))).toEqual([
			"--config: the config file . can't be read (EISDIR); name another or leave it out",
		]);
		for (const value of ['"swordfish', "*swordfish", "!swordfish", "|swordfish", "@swordfish", "{swordfish", "[*swordfish]"])
			expect(mistakesOf(() => load({}, {}, `http_api:\n  key: ${value}\n`)).join()).not.toContain("swordfish");
	});
});

it("a variable that looks like a misspelt option is a warning; those that Kubernetes adds are none", () => {
	const environment = {
		SHARDCAST_SHRADS: "3",
		SHARDCAST_LIMITS_MESSAGE_RATE: "5",
		SHARDCAST_PORT: "tcp://10.0.0.1:3005",
		SHARDCAST_SERVICE_HOST: "10.0.0.1",
		SHARDCAST_CONFIG: "",
	};
	expect(loadConfig({ environment }).warnings).toEqual([
		"SHARDCAST_SHRADS: unknown environment variable; did you mean SHARDCAST_SHARDS?",
		"SHARDCAST_LIMITS_MESSAGE_RATE: unknown environment variable; did you mean SHARDCAST_MESSAGE_RATE?",
	]);
});

describe("all mistakes are told at once", () => {
	it("unknown keys, wrong values from everywhere, and what does not go together", () => {
		const yaml = [
			"cluster:",
			"  shrads: 3",
			"shard: {batch: none}",
			"http_api:",
			"  key: *swordfish",
			"client: {allowed_origins: trade.example}",
			"supervision:",
			"  restart_backoff_min: 1m",
			"limits: {max_payload: 2MiB}",
			"kafka: none",
		];
		expect(mistakesOf(() => load({ workers: "y" }, { SHARDCAST_RING: "z" }, yaml.join("\n")))).toEqual([
			'./shardcast.yaml:2: unknown key "cluster.shrads"; did you mean "cluster.shards"?',
			"./shardcast.yaml:5: http_api.key: Unresolved alias (the anchor must be set before the alias); write the value itself",
			'./shardcast.yaml:10: kafka: is not a table of options; write them below it, indented, such as "brokers: …"',
			'--workers: "y" is not a whole number from 0 to 256',
			'./shardcast.yaml:3: shard.batch: "none" is not a whole number from 1 to 65536',
			'SHARDCAST_RING: "z" is not a whole number from 16 to 1048576',
			'./shardcast.yaml:6: client.allowed_origins: "trade.example" has an origin without a scheme, trade.example; write https://trade.example',
			"--max-buffered: a message of 2MiB (./shardcast.yaml:9: limits.max_payload) would not fit; give at least that",
			"./shardcast.yaml:8: supervision.restart_backoff_min: 1m is longer than the longest pause, 30s (--restart-backoff-max); give at most that",
		]);
	});

	it("what depends on a wrong value is not judged", () => {
		// 30 MiB is no length of a message, so nobody knows whether it fits; nor how many shards there are to be.
		const yaml = "limits: {max_payload: 30MiB, max_connections: 2}\ncluster: {shrads: 3}\nclient: {queue_max_size: 2KiB}\n";
		expect(mistakesOf(() => load({}, {}, yaml))).toEqual([
			expect.stringContaining('unknown key "cluster.shrads"'),
			expect.stringContaining('limits.max_payload: "30MiB"'),
		]);
	});

	it("nor what depends on a section that can't be read", () => {
		const lines = mistakesOf(() => load({ kafkaTopics: "a" }, {}, "kafka: [a]\n"));
		expect(lines).toEqual([expect.stringContaining("kafka: is not a table of options")]);
	});

	it("each file that an option names and that can't be read", () => {
		const flags = {
			kafkaBrokers: "a:1",
			kafkaTopics: "a",
			kafkaTls: "true",
			kafkaTlsCa: "/missing",
			kafkaTlsCert: folder,
			kafkaTlsKey: "/dev/null/x",
		};
		expect(mistakesOf(() => load(flags))).toEqual([
			"--kafka-tls-ca: /missing does not exist; name a file that does",
			"--kafka-tls-cert: . is not a regular file; name one",
			"--kafka-tls-key: /dev/null/x can't be read (ENOTDIR); change its mode or name another",
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
		["localhost:3000", "has an origin without a scheme, localhost:3000; write http://localhost:3000"],
		["127.0.0.1", "has an origin without a scheme, 127.0.0.1; write http://127.0.0.1"],
		["https://a.example/page", "has more than an origin, https://a.example/page; write https://a.example"],
		["https://a.example?x=1", "has more than an origin, https://a.example?x=1; write https://a.example"],
		["wss://a.example", "has the address of a WebSocket, wss://a.example; write its page's origin, such as https://a.example"],
		["https://*.a.example", "has a pattern, https://*.a.example; name each origin, or * for all"],
		["https://", "has no valid host in https://; write, for example, https://trade.example"],
		["https://user@a.example", "has more than an origin, https://user@a.example; write https://a.example"],
		["ftp://a.example", "has an origin that no page has, ftp://a.example; write http://a.example or https://a.example"],
		["file:///a", "has an origin that no page has, file:///a; write null for pages that are files"],
		["https://a.example,*", "has others beside *, which allows all; leave out either"],
		["//a.example", "has an origin without a scheme, //a.example; write https://a.example"],
	])("%s is refused, with what to write", (text, why) => {
		expect(mistakesOf(() => load({ allowedOrigins: text }))).toEqual([`--allowed-origins: "${text}" ${why}`]);
	});
});

it("each mistake in a list has its line, which quotes that item alone", () => {
	expect(mistakesOf(() => load({ allowedOrigins: "ftp://x,a.example,https://b.example" }))).toEqual([
		'--allowed-origins: "ftp://x" has an origin that no page has, ftp://x; write http://x or https://x',
		'--allowed-origins: "a.example" has an origin without a scheme, a.example; write https://a.example',
	]);
});

describe("rates of commands", () => {
	const yaml = (rest: string) => `client:\n  rate_limit:\n    client_command:\n      enabled: true\n${rest}`;

	it("are written as for Centrifugo", () => {
		const { config, warnings } = load(
			{},
			{},
			yaml(
				"      publish: {enabled: true, buckets: [{interval: 1s, rate: 1}, {interval: 60s, rate: 20}]}\n      map_publish: {enabled: true}\n    ip_connect: {enabled: true}\n",
			),
		);
		expect(config.clientCommandRates.publish).toEqual({
			enabled: true,
			buckets: [
				{ intervalMs: 1000, rate: 1 },
				{ intervalMs: 60_000, rate: 20 },
			],
		});
		expect(config.clientCommandRates.total).toEqual({ enabled: false, buckets: [] });
		expect(warnings.join()).toContain("limits.max_connections_per_ip");
	});

	it.each([
		["      publish: {buckets: [{interval: 1s, rate: 0}]}\n", "is not a whole number from 1 to 1000000"],
		["      publish: {buckets: [{rate: 1}]}\n", "interval"],
		["      publish: {buckets: [{interval: 1, rate: 1}]}\n", "has no unit"],
		["      publsh: {enabled: true}\n", "publsh"],
	])("%j is wrong", (rest, problem) => expect(mistakesOf(() => load({}, {}, yaml(rest))).join()).toContain(problem));
});

describe("proxies in front of the server", () => {
	it("PROXY headers need somebody who may send them, and networks are written in one way", () => {
		expect(() => load({ proxyProtocol: true })).toThrow(
			"--proxy-protocol: nobody may send a PROXY header; give the addresses of the load balancers in --trusted-proxies",
		);
		const { config } = load({ proxyProtocol: true, trustedProxies: "10.0.0.0/8, ::FFFF:192.0.2.7" });
		expect(config.trustedProxies).toEqual(["10.0.0.0/8", "192.0.2.7"]);
	});
});

describe("TLS", () => {
	it("does not go together with proxy mode, which config check says too", () => {
		expect(load({ tlsCert: "/c.pem" }).config.lbMode).toBe("auto");
		expect(load({ lbMode: "proxy", tlsCert: "/c.pem", tlsEnabled: "false" }).config.lbMode).toBe("proxy");
		expect(mistakesOf(() => load({ lbMode: "proxy", tlsCert: "/c.pem" }))).toEqual([
			"--lb-mode: TLS does not work in proxy mode; use handoff or auto",
		]);
	});
});

describe("config print", () => {
	it("shows each value with its layer and hides secrets", () => {
		const text = formatConfig(load({ apiKey: "swordfish" }, { SHARDCAST_BATCH: "7" }, "kafka:\n  tls:\n    enabled: true\n"));
		expect(text).toMatch(/^shard:\n {2}workers: 0 +# default\n {2}batch: 7 +# SHARDCAST_BATCH$/m);
		expect(text).toMatch(/^http_api:\n {2}# key: set \(hidden\) +# --api-key$/m);
		expect(text).toMatch(/^ {2}tls:\n {4}enabled: true +# .*shardcast\.yaml:3: kafka\.tls\.enabled$/m);
		expect(text).not.toContain("swordfish");
		for (const key of configKeys) expect(text).toMatch(new RegExp(`^ *(# )?${filePath(key).split(".").at(-1)}:`, "m"));
	});

	it("hides the keys of http_api.keys; methods, channels and keys are checked, and mistakes do not show them", () => {
		const keys = (...items: object[]) => JSON.stringify(items);
		const one = { name: "backend", key: "swordfish-1", former_key: "swordfish-0", methods: "publish,history", channels: ["chat:*"] };
		const loaded = load({ apiKeys: keys(one) });
		expect(loaded.config.apiKeys).toEqual([
			{ name: "backend", key: "swordfish-1", formerKey: "swordfish-0", methods: ["publish", "history"], channels: ["chat:*"] },
		]);
		const mistake = (...items: object[]) => mistakesOf(() => load({ apiKeys: keys(...items) })).join();
		const mistakes = [
			mistake({ name: "backend" }),
			mistake({ ...one, key: "swordf" }),
			mistake({ ...one, methods: "publsh" }),
			mistake(one, { ...one, name: "other" }),
			mistake(...Array.from({ length: 33 }, (_, index) => ({ name: `k${index}`, key: `swordfish-${index}` }))),
		];
		expect(mistakes[0]).toContain('"backend" has no key');
		expect(mistakes[1]).toContain("at least 8 characters");
		expect(mistakes[2]).toContain('has "publsh", which is not a method of the server API');
		expect(mistakes[3]).toContain('"other" has the same key as another');
		expect(mistakes[4]).toContain("the most is 32");
		for (const text of [formatConfig(loaded), configJson(loaded), ...mistakes]) expect(text).not.toMatch(/swordf/);
	});

	/** Something other than the default for every option that has no secret. */
	const flags: Partial<Record<ConfigKey, unknown>> = {
		shards: "3",
		lbAddr: "[::1]:80",
		cpus: "0-3,8",
		allowedOrigins: "https://a.example,null",
		idleTimeoutMs: "90s",
		flushMaxMs: "0",
		maxPayloadBytes: "70001",
		debug: "true",
		kafkaBrokers: "a:1,b:2",
		kafkaTopics: "ticks,/or#ders\\..+/",
		kafkaGroup: "007",
		kafkaChannel: "{key}: #{topic}\n'\"",
		kafkaTlsVerify: "false",
		kafkaDeadLetter: "null",
		clusterDirectory: "/a b # c",
	};

	it.each([
		["YAML", formatConfig],
		["JSON", configJson],
	])("can be saved and read back as a config file that says the same: %s", (_, print) => {
		const loaded = load({ ...flags, apiKey: "swordfish" });
		const text = print(loaded);
		expect(text).not.toContain("swordfish");
		const again = loadConfig({ file: file(text) });
		expect(again.config).toEqual({ ...loaded.config, apiKey: undefined });
	});

	it("whatever a text holds", () => {
		const text = fc.oneof(arbitraryText(), fc.string({ unit: fc.constantFrom(..."-?:,[]{}#&*!|>'\"%@` \n\t~=<09enulty") }));
		const shape = shapeOf([["a.b", "c"]]);
		const { kafkaUsername: kind } = options;
		fc.assert(
			fc.property(text, text, (value, note) => {
				const { found } = fromText(yamlLines(shape, () => ({ kind, value, note })).join("\n"), "f", shape);
				expect(found.get("c")?.raw).toBe(value);
			}),
			{ numRuns: 100 },
		);
	});

	it("of nothing but defaults is a config file too", () => {
		expect(loadConfig({ file: file(formatConfig(loadConfig())) }).config).toEqual(loadConfig().config);
		expect(loadConfig({ file: file(configJson(loadConfig())) }).config).toEqual(loadConfig().config);
	});
});

describe("the table", () => {
	it("has one row per flag, variable and key, each with one sentence", () => {
		for (const spell of [(key: ConfigKey) => optionOf(key).flag, environmentName, filePath])
			expect(new Set(configKeys.map(spell)).size).toBe(configKeys.length);
		for (const key of configKeys) expect(optionOf(key).help, key).toMatch(/^[A-Z].*[^.]\.$/);
		expect(Object.values(sections).flatMap(({ options }) => Object.keys(options))).toEqual(configKeys);
	});

	it("has defaults that its own schemas accept as they are shown", () => {
		for (const key of configKeys) {
			const { default: value, show, secret } = optionOf(key);
			if (secret) continue;
			const shown = show(value);
			const found: FoundValue = { raw: shown === "[]" ? [] : shown, layer: { kind: "default" } };
			expect(checkValue(optionOf(key), found), key).toEqual({ value });
		}
	});

	it("names an option by the place to fix it", () => {
		const name = optionNames(load({}, { SHARDCAST_CPUS: "0,9" }).layers);
		expect([name("cpus"), name("numa")]).toEqual(["SHARDCAST_CPUS", "--numa"]);
	});
});

it("derives ring capacity as a power of two that holds eight of the largest records", () => {
	expect(ringCapacityBytes({ ring: 2048, maxPayloadBytes: 65_536 })).toBe(2 ** 21);
	expect(ringCapacityBytes({ ring: 16, maxPayloadBytes: 65_536 })).toBe(2 ** 20);
	expect(ringCapacityBytes({ ring: 3000, maxPayloadBytes: 1 })).toBe(2 ** 22);
	expect(connectionsPerShard({ maxConnections: 12_000 }, 7) * 7).toBeGreaterThanOrEqual(12_000);
});

describe("authentication", () => {
	it("--require-auth is on, off, or left to the other options", () => {
		expect(load({}).config.requireAuth).toBeUndefined();
		expect(load({ requireAuth: true }).config.requireAuth).toBe(true);
		expect(load({}, { SHARDCAST_REQUIRE_AUTH: "false" }).config.requireAuth).toBe(false);
		expect(load({}, { SHARDCAST_REQUIRE_AUTH: "auto" }, "auth: { require: true }\n").config.requireAuth).toBeUndefined();
		expect(mistakesOf(() => load({}, { SHARDCAST_REQUIRE_AUTH: "yes" }))).toEqual([
			'SHARDCAST_REQUIRE_AUTH: "yes" is neither true, false nor auto',
		]);
	});

	it("cannot be required of clients that need no token", () => {
		expect(mistakesOf(() => load({ requireAuth: true, clientInsecure: true }))).toEqual([
			"--require-auth: with --client-insecure clients need no token; remove one of the two",
		]);
	});

	it.each([
		["https://{{host}}/keys", "^(?P<host>.*)$", /has \{\{ \}\} before its path/],
		["https://idp/{{a b}}", "", /has something in \{\{ \}\} that is not the name of a group/],
		["https://idp/{{a}}", "^(?P<b>.*)$", /\{\{a\}\} is not a group of the issuer or audience regex; write \(\?P<a>…\)/],
	])("the address of a key set is refused: %s with %s", (tokenJwksEndpoint, tokenIssuerRegex, mistake) => {
		expect(mistakesOf(() => load({ tokenJwksEndpoint, tokenIssuerRegex }))).toEqual([expect.stringMatching(mistake)]);
	});

	it("the address of a key set takes what groups of the regular expressions match", () => {
		const options = {
			tokenJwksEndpoint: "https://idp/{{ realm }}/{{app}}",
			tokenIssuerRegex: "(?P<realm>.+)",
			tokenAudienceRegex: "(?<app>.+)",
		};
		expect(load(options).config).toMatchObject(options);
	});
});

it("a server that stops still serves for the time that its strategy says", () => {
	expect(stopDelayMs("graceful", 0)).toBe(0);
	expect(stopDelayMs("graceful", 3000)).toBe(3000);
	expect(stopDelayMs("delayed", 0)).toBe(5000);
	expect(stopDelayMs("delayed", 3000)).toBe(3000);
	expect(stopDelayMs("immediate", 3000)).toBe(0);
});

it("a node's name without Redis gives a warning: the machine works alone", () => {
	const warnings = (environment: NodeJS.ProcessEnv) => loadConfig({ environment }).warnings;
	expect(warnings({ NODE_ID: "n1", SHARDCAST_NODE_URL: "wss://n1.example.com" })).toEqual([
		"NODE_ID, SHARDCAST_NODE_URL: without Redis this machine works alone; set --redis-url or REDIS_URL",
	]);
	expect(warnings({ NODE_ID: "n1", REDIS_URL: "redis://127.0.0.1" })).toEqual([]);
	expect(warnings({ NODE_ID: "", SHARDCAST_NODE_REGION: "eu" })).toEqual([]);
});

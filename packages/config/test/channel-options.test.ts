import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ConfigError } from "../src/load/config-error.ts";
import { type LoadedConfig, loadConfig } from "../src/load/load.ts";
import { configJson, formatConfig } from "../src/load/print.ts";
import { planReload } from "../src/load/reload.ts";
import { centrifugoOnly, centrifugoOnlyInNamespaces, replacements } from "../src/options/centrifugo.ts";
import { configKeys, filePath } from "../src/options/options.ts";
import { channelFields } from "../src/options/sections/clients/channel.ts";
import { parseRegex } from "../src/units/regex.ts";

let folder: string;
beforeAll(() => {
	folder = mkdtempSync(join(tmpdir(), "shardcast-channel-options-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

function load(text: string, environment: NodeJS.ProcessEnv = {}): LoadedConfig {
	const file = join(folder, "f.yaml");
	writeFileSync(file, text);
	return loadConfig({ file, environment });
}

/** What is wrong, without the folder's name. */
function mistakesIn(text: string, environment: NodeJS.ProcessEnv = {}): readonly string[] {
	try {
		load(text, environment);
		return [];
	} catch (error) {
		if (error instanceof ConfigError) return error.lines.map((line) => line.replaceAll(`${folder}/`, ""));
		throw error;
	}
}

/** As people have it who move over. */
const centrifugoFile = JSON.stringify(
	{
		http_server: { port: 8000 },
		client: {
			allowed_origins: ["http://localhost:3000"],
			token: { hmac_secret_key: "correct-horse", jwks_public_endpoint: "https://a" },
			ping_interval: "20s",
			channel_limit: 64,
			proxy: { connect: { enabled: true, endpoint: "http://localhost:3000/connect", grpc_metadata: ["x-user"] } },
		},
		channel: {
			proxy: {
				subscribe: { endpoint: "http://localhost:3000/subscribe", http: { static_headers: { "X-Key": "k" } } },
				publish: { endpoint: "http://localhost:3000/publish" },
			},
			without_namespace: { presence: true, history_size: 10, history_ttl: "300s", publish_proxy_enabled: true },
			namespaces: [
				{
					name: "chat",
					history_size: 100,
					history_ttl: "24h",
					force_recovery: true,
					allow_subscribe_for_client: true,
					subscribe_proxy_enabled: true,
					force_recovery_mode: "stream",
				},
			],
			history_meta_ttl: "720h",
			namespace_boundary: ":",
		},
		http_api: { key: "a-secret-key", handler_prefix: "/api" },
		admin: { enabled: true, password: "p" },
		log: { level: "info", file: "x" },
	},
	null,
	1,
);

describe("a file of Centrifugo's", () => {
	it("is understood", () => {
		const { config } = load(centrifugoFile);
		expect(config).toMatchObject({
			allowedOrigins: ["http://localhost:3000"],
			tokenHmacSecret: "correct-horse",
			pingIntervalMs: 20_000,
			channelLimit: 64,
			apiKey: "a-secret-key",
			channelWithoutNamespace: { presence: true, historySize: 10, historyTtlMs: 300_000, forceRecovery: false },
			channelNamespaces: [
				{ name: "chat", historySize: 100, historyTtlMs: 86_400_000, forceRecovery: true, allowSubscribeForClient: true, presence: false },
			],
		});
		expect(Object.isFrozen(config.channelNamespaces[0])).toBe(true);
	});

	it("says with file and line what has no effect here", () => {
		const places = load(centrifugoFile).warnings.map((line) =>
			line.replaceAll(`${folder}/`, "").replace(/: (?:Centrifugo has|this option of Centrifugo has).*$/, ""),
		);
		expect(places.toSorted()).toEqual(
			[
				"f.yaml:3: http_server.port",
				"f.yaml:19: client.proxy.connect.grpc_metadata",
				"f.yaml:53: channel.namespaces[0].force_recovery_mode",
				"f.yaml:61: http_api.handler_prefix",
				"f.yaml:63: admin",
				"f.yaml:69: log.file",
			].toSorted(),
		);
	});

	it("names in a variable what has no effect", () => {
		const { warnings } = load("", { SHARDCAST_CHANNEL_NAMESPACES: '[{"name":"chat","force_recovery_mode":"cache"}]' });
		expect(warnings).toEqual([
			expect.stringMatching(/^SHARDCAST_CHANNEL_NAMESPACES: \[0\]\.force_recovery_mode: Centrifugo has this option/),
		]);
	});

	it("says of endpoints that are always there that they cannot be switched off", () => {
		const { warnings } = load("sse: { enabled: true }\nuni_websocket: { enabled: false }\n");
		expect(warnings).toEqual([
			expect.stringMatching(/:1: sse: shardcast always serves \/connection\/sse; Centrifugo's options for it have no effect$/),
			expect.stringMatching(/:2: uni_websocket: shardcast always serves \/connection\/uni_websocket; /),
		]);
	});

	it("names what shardcast has in place of an option", () => {
		const { warnings } = load("http_server: { port: 8000, tls: { client_ca_pem: x } }\nclient:\n  connection_limit: 5\n");
		expect(warnings).toEqual([
			expect.stringMatching(/:1: http_server\.port: this option of Centrifugo has no effect; shardcast has balancer\.address instead$/),
			expect.stringMatching(/:1: http_server\.tls\.client_ca_pem: Centrifugo has this option/),
			expect.stringMatching(/:3: client\.connection_limit: .* shardcast has limits\.max_connections instead$/),
		]);
		const paths = configKeys.map(filePath);
		const named = [...replacements.values()].filter((what) => /^\w+\.\w+$/.test(what));
		expect(named.filter((path) => !paths.includes(path))).toEqual([]);
		expect([...replacements.keys()].filter((path) => !centrifugoOnly.has(path))).toEqual([]);
	});

	it("warns about each option of which the docs say so", () => {
		const guide = readFileSync(new URL("../../../docs/how-to/from-centrifugo.md", import.meta.url), "utf8");
		const [, section = ""] = guide.split("\n## What gives a warning\n");
		const items = section.split("\n## ", 1)[0]!.matchAll(/(?:^- |\. )(?:\*\*)?(`[a-z_]+`(?:, `[a-z_]+`)*)/gm);
		const names = [...items].flatMap(([, list]) => [...list!.matchAll(/[a-z_]+/g)].map(([name]) => name));
		expect(names).toContain("engine");
		expect(names.filter((name) => !centrifugoOnly.has(name) && !centrifugoOnlyInNamespaces.has(name))).toEqual([]);
	});

	it("knows no name twice: what shardcast has is not told to be missing", () => {
		expect(configKeys.map(filePath).filter((path) => centrifugoOnly.has(path))).toEqual([]);
		const keys = Object.values(channelFields).map(({ key }) => key as string);
		expect(keys.filter((key) => centrifugoOnlyInNamespaces.has(key))).toEqual([]);
		expect([...centrifugoOnly, ...centrifugoOnlyInNamespaces].filter((name) => !/^[a-z_.\d]+$/.test(name))).toEqual([]);
	});
});

const ns = (fields: string) => `channel:\n  namespaces:\n    - name: first\n    - name: chat\n      ${fields}`;

describe("a mistake in the channels' options", () => {
	it.each([
		[
			"channel:\n  without_namespace:\n    history_szie: 3",
			'f.yaml:3: channel.without_namespace.history_szie: unknown key; did you mean "history_size"?',
		],
		[
			"channel:\n  without_namespace:\n    presence: maybe",
			'f.yaml:3: channel.without_namespace.presence: "maybe" is neither true nor false',
		],
		["channel:\n  without_namespace: true", "f.yaml:2: channel.without_namespace: the value is not a table of options"],
		["channel:\n  without_namespace: [presence]", "f.yaml:2: channel.without_namespace: the value is not a table of options"],
		["channel:\n  namespace:\n    - name: chat", 'f.yaml:2: unknown key "channel.namespace"; did you mean "channel.namespaces"?'],
		[ns("presense: true"), 'f.yaml:5: channel.namespaces[1].presense: unknown key; did you mean "presence"?'],
		["channel:\n  namespaces:\n    - presence: true", "f.yaml:3: channel.namespaces[0].name: is missing; set it"],
		[
			"channel:\n  namespaces:\n    - name: a",
			'f.yaml:3: channel.namespaces[0].name: "a" is not two or more of letters, digits, - _ and .',
		],
		[ns("channel_regex: '(?i)a'"), 'f.yaml:5: channel.namespaces[1].channel_regex: "(?i)a" is not a regular expression: Invalid group'],
		[ns("history_size: 10"), "f.yaml:5: channel.namespaces[1].history_size: there is no history without history_ttl; give both or neither"],
		[ns("history_ttl: 10s"), "f.yaml:5: channel.namespaces[1].history_ttl: there is no history without history_size; give both or neither"],
		[
			ns("force_recovery: true"),
			"f.yaml:5: channel.namespaces[1].force_recovery: there is no history to recover from; give history_size and history_ttl as well",
		],
		[
			`${ns("durable: true")}\n  durable_store:\n    path: /var/lib/x`,
			"f.yaml:5: channel.namespaces[1].durable: there is no history to keep; give history_size and history_ttl as well",
		],
		[
			ns("durable: true\n      history_size: 5\n      history_ttl: 1h"),
			"f.yaml:5: channel.namespaces[1].durable: history in memory does not outlive a restart; name a folder with channel.durable_store.path, or a PostgreSQL with postgres.url",
		],
		[
			`kafka:\n  brokers: [127.0.0.1:9]\n  topics: t\n${ns("durable: true\n      history_size: 5\n      history_ttl: 1h")}\n  durable_store:\n    path: /var/lib/x`,
			"f.yaml:8: channel.namespaces[1].durable: records from Kafka (f.yaml:2: kafka.brokers) are not written to the durable store; switch one of the two off",
		],
		[
			ns("history_ttl: 2h\n      history_size: 1\n      history_meta_ttl: 1h"),
			"f.yaml:5: channel.namespaces[1].history_ttl: 2h is longer than history_meta_ttl, 1h; give at most that",
		],
		[
			"channel:\n  history_meta_ttl: 1h\n  without_namespace:\n    history_size: 1\n    history_ttl: 2h",
			"f.yaml:5: channel.without_namespace.history_ttl: 2h is longer than channel.history_meta_ttl, 1h; give at most that",
		],
		[
			"cluster:\n  history_memory: 1MiB\nlimits:\n  max_payload: 40KiB\nchannel:\n  without_namespace:\n    history_size: 1\n    history_ttl: 1m",
			"f.yaml:7: channel.without_namespace.history_size: a message of 40KiB (f.yaml:4: limits.max_payload) does not fit into a history in 1MiB (f.yaml:2: cluster.history_memory); the most is 33664 bytes; give more memory, or less for a message",
		],
		[
			"cluster:\n  history_memory: 1MiB\n  history_channels: 10000",
			"f.yaml:3: cluster.history_channels: 10000 of them take more than two thirds of 1MiB (f.yaml:2: cluster.history_memory); give more memory, or a smaller number",
		],
		[
			"cluster:\n  idempotency_keys: 1000000",
			"f.yaml:2: cluster.idempotency_keys: 1000000 of them take more than two thirds of 32MiB (--history-memory); give more memory, or a smaller number",
		],
		[
			ns("slow_client_key_tag: symbol"),
			"f.yaml:5: channel.namespaces[1].slow_client_key_tag: only slow_client: keep-latest has keys; set that, or leave this out",
		],
		[
			`${ns("slow_client_key_tag: symbol\n      slow_client: drop-oldest")}\n  slow_client: keep-latest`,
			"f.yaml:5: channel.namespaces[1].slow_client_key_tag: only slow_client: keep-latest has keys; set that, or leave this out",
		],
		[
			"channel:\n  slow_client: drop-oldest\n  slow_client_key_tag: symbol",
			"f.yaml:3: channel.slow_client_key_tag: only keep-latest has keys, and no slow_client has this value; set that, or leave this out",
		],
		["channel:\n  slow_client: default", 'f.yaml:2: channel.slow_client: "default" is not one of disconnect, drop-oldest, keep-latest'],
		[
			ns("max_publication_size: 65KiB"),
			"f.yaml:5: channel.namespaces[1].max_publication_size: 65KiB is more than limits.max_payload, 64KiB; give at most that",
		],
		[
			ns("publication_data_format: xml"),
			'f.yaml:5: channel.namespaces[1].publication_data_format: "xml" is not json, json_object, binary or empty',
		],
		["client:\n  pong_timeout: 25s", "f.yaml:2: client.pong_timeout: 25s is not shorter than --ping-interval, 25s; give less"],
	])("%j", (text, line) => {
		expect(mistakesIn(text)).toEqual([line]);
	});

	it("in a variable is named by the place in it", () => {
		expect(mistakesIn("", { SHARDCAST_CHANNEL_WITHOUT_NAMESPACE: '{"presence":3}' })).toEqual([
			'SHARDCAST_CHANNEL_WITHOUT_NAMESPACE: presence: "3" is neither true nor false',
		]);
		expect(mistakesIn("", { SHARDCAST_CHANNEL_WITHOUT_NAMESPACE: '{"history_size":3}' })).toEqual([
			"SHARDCAST_CHANNEL_WITHOUT_NAMESPACE: history_size: there is no history without history_ttl; give both or neither",
		]);
	});

	it("leaves the rest unjudged where the value itself is wrong", () => {
		expect(mistakesIn(ns("history_size: many\n      history_ttl: 10s"))).toEqual([
			'f.yaml:5: channel.namespaces[1].history_size: "many" is not a whole number from 0 to 1000000',
		]);
	});
});

it("what is printed is a file that says the same", { tags: ["long"] }, () => {
	const loaded = load(centrifugoFile);
	const { channelWithoutNamespace, channelNamespaces } = loaded.config;
	for (const text of [formatConfig(loaded), configJson(loaded)]) {
		const again = load(text);
		expect(again.config).toMatchObject({ channelWithoutNamespace, channelNamespaces });
		expect(again.warnings).toEqual([]);
	}
	expect(formatConfig(loaded)).toMatch(
		/^ {2}without_namespace: +# .*f\.yaml:\d+: channel\.without_namespace\n {4}history_size: 10\n {4}history_ttl: 5m$/m,
	);
});

it("a change of one field is told by its path", () => {
	const { config } = load(centrifugoFile);
	const next = load(
		centrifugoFile.replace('"history_size": 10,', '"history_size": 20,').replace('"history_size": 100,', '"history_size": 200,'),
	);
	const plan = planReload({ command: "single", started: config, running: config, next });
	expect([...plan.applied, ...plan.waiting].map(({ path, from, to }) => `${path} ${from} ${to}`)).toEqual([
		"channel.without_namespace.history_size 10 20",
		"channel.namespaces[chat].history_size 100 200",
	]);
});

it.each([
	["^[a-z]+\\:\\d+$", "abc:12", true],
	["^\\p{L}+$", "ché", true],
	["^[\\w\\-\\.]+$", "a-b.c", true],
	["^a\\\\b$", "a\\b", true],
	["^\\#\\/$", "#/", true],
	["^.$", "😀", true],
])("the regular expression %s matches %j as it does in Go: %j", (regex, name, matches) => {
	expect(parseRegex(regex).test(name)).toBe(matches);
});

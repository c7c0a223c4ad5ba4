import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Config, type ConfigKey, configKeys, defaultConfig, liveKeysOf } from "@shardcast/config";
import type { HttpRequest } from "@shardcast/http";
import { RecordKind } from "@shardcast/wire";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { ShardApis } from "../../src/lifecycle/assembly/shard-apis.ts";
import { CentrifugeRig } from "../support/centrifuge-rig.ts";
import { FakeTransport } from "../support/fake-transport.ts";
import { rawRequest } from "../support/raw-request.ts";
import { ShardParts } from "../support/shard-parts.ts";
import { tokenOf, tokenSecret } from "../support/tokens.ts";

/**
 * A live option must be read from the options of the last reload, not remembered from the start. So a shard gets options that note what is read from
 * them, and does what needs each option. A new live option fails here until something reads it, or it has an entry in `elsewhere`.
 */

/** The live options that other parts read, each with the test that changes it. */
const elsewhere: Partial<Record<ConfigKey, readonly [file: string, title: string]>> = {
	crashLimit: ["apps/supervisor/test/restart-policy.test.ts", "the options of a child are read again at each start and each death"],
	crashWindowMs: ["apps/supervisor/test/restart-policy.test.ts", "the options of a child are read again at each start and each death"],
	restartBackoffMinMs: [
		"apps/supervisor/test/restart-policy.test.ts",
		"the options of a child are read again at each start and each death",
	],
	restartBackoffMaxMs: [
		"apps/supervisor/test/restart-policy.test.ts",
		"the options of a child are read again at each start and each death",
	],
	readyTimeoutMs: ["apps/supervisor/test/restart-policy.test.ts", "the options of a child are read again at each start and each death"],
	heartbeatTimeoutMs: [
		"apps/supervisor/test/watchdog.test.ts",
		"takes up another time-out while it runs, and looks no more once it has been stopped",
	],
	...Object.fromEntries(
		(
			[
				...(["guardCpu", "guardIngestCpu", "guardCpuWindowMs", "guardMemory", "guardIngestMemory", "guardLoopLagMs"] as const),
				...(["guardDescriptors", "guardSharedMemory", "guardHoldMs"] as const),
			] as const
		).map((key) => [
			key,
			["packages/guards/test/guard-watch.test.ts", "new thresholds apply from the next look on, and what is switched off stops at once"],
		]),
	),
	shutdownTimeoutMs: ["packages/server/test/lifecycle/reload.test.ts", "how long a server takes to stop is decided when it stops"],
	failover: ["packages/server/test/lifecycle/reload.test.ts", "how long a server takes to stop is decided when it stops"],
	drainDelayMs: ["packages/server/test/lifecycle/reload.test.ts", "how long a server takes to stop is decided when it stops"],
	maxConnections: [
		"packages/server/test/lifecycle/reload.test.ts",
		"a server whose shard refuses new options also keeps its connection limit",
	],
	rebalanceShards: [
		"apps/supervisor/test/rebalance-shards.test.ts",
		"after a crash, clients are moved back once the shard has served for a while, if the option says so then",
	],
	...Object.fromEntries(
		(["shardsMin", "shardsMax"] as const).map((key) => [
			key,
			[
				"apps/supervisor/test/follow-cpus.test.ts",
				"keeps to --shards-min and --shards-max, and other ones hold from the next look on; a number given by hand is free",
			],
		]),
	),
	adminKey: [
		"apps/supervisor/test/admin/admin.cluster.test.ts",
		"over HTTP need the key: 401 without it or with another, then 429, also with the right one",
	],
	tlsCert: ["packages/control/test/certificate-watch.test.ts", "follow new option values, all or none"],
	tlsCertificates: ["packages/control/test/certificate-watch.test.ts", "follow new option values, all or none"],
	...Object.fromEntries(
		(["stalledClientTimeoutMs", "videoWindow", "ackTimeoutMs", "clientBandwidth"] as const).map((key) => [
			key,
			["packages/gateway/test/gateway-reload.process.test.ts", "live options apply to clients that are connected"],
		]),
	),
	gatewayBackends: [
		"packages/gateway/test/gateway-backends.process.test.ts",
		"a reload connects those that are new on the list, and closes those that are gone; the others and the clients notice nothing",
	],
	...Object.fromEntries(
		(["lbStrategy", "lbWeights", "lbAffinity"] as const).map((key) => [
			key,
			[
				"apps/balancer/test/pick/balancer-strategies.test.ts",
				"lbStrategy, lbWeights and lbAffinity: others hold from the next connection on",
			],
		]),
	),
	remoteShards: [
		"apps/supervisor/test/cluster/remote-shards.cluster.test.ts",
		"with the weight 0 it gets no new clients and keeps those that it has, without a restart",
	],
	lbAffinityFrom: ["apps/balancer/test/pick/placement-keys.test.ts", "lbAffinityFrom: another one holds from the next connection on"],
	logLevel: ["packages/control/test/reload.test.ts", "says so when the level goes from %s to %s"],
	tlsKey: ["packages/control/test/certificate-watch.test.ts", "follow new option values, all or none"],
	...Object.fromEntries(
		(["traceSample", "traceTags", "slowMessageMs"] as const).map((key) => [
			key,
			["packages/server/test/tracing/tracing.process.test.ts", "a reload changes what is traced, tagged and logged as slow"],
		]),
	),
	webhookVacatedDelayMs: [
		"packages/webhooks/test/webhooks.test.ts",
		"a new delay applies to the channels that a client leaves from then on",
	],
};
/**
 * Live options without such a test. `headTimeoutMs` needs sockets: a listener reads it for connections that begin with TLS or a PROXY header, a balancer
 * in its `reload`. `tlsKeyPassphrase` is read with `tlsKey`. `debug` only sets the log level.
 */
const unproven: readonly ConfigKey[] = ["headTimeoutMs", "tlsKeyPassphrase", "debug"];
const root = join(import.meta.dirname, "../../../..");

/** Options that note which of them are read. A copy of all of them is not a read. */
function noted(config: Config, read: Set<string>): Config {
	let copied: string | symbol | null = null;
	return new Proxy(config, {
		getOwnPropertyDescriptor: (target, key) => {
			copied = key;
			return Reflect.getOwnPropertyDescriptor(target, key);
		},
		get: (target, key) => {
			if (copied !== key) read.add(String(key));
			copied = null;
			return Reflect.get(target, key);
		},
	});
}

const plain = defaultConfig().channelWithoutNamespace;
const everything = {
	...plain,
	...{ historySize: 10, historyTtlMs: 60_000, forceRecovery: true, presence: true, allowSubscribeForClient: true },
	...{ allowPublishForClient: true, allowHistoryForClient: true, allowPresenceForClient: true, allowUserLimitedChannels: true },
};
const endpoint = "http://127.0.0.1:1/";
/** Options of hooks, which nothing in this test calls. */
const { subscribeProxy, publishProxy, subRefreshProxy, rpcProxy, rpcWithoutNamespace } = defaultConfig();
const hooks: Partial<Config> = {
	subscribeProxy: { ...subscribeProxy, endpoint },
	publishProxy: { ...publishProxy, endpoint },
	subRefreshProxy: { ...subRefreshProxy, endpoint },
	rpcProxy: { ...rpcProxy, endpoint },
	rpcWithoutNamespace: { ...rpcWithoutNamespace, proxyEnabled: true },
	proxies: [{ ...publishProxy, name: "other", endpoint }],
};
const asked = {
	...plain,
	name: "asked",
	subscribeProxyEnabled: true,
	subRefreshProxyEnabled: true,
	publishProxyEnabled: true,
	publishProxyName: "other",
};

/** What a client of the Centrifuge protocol does, and the time that passes meanwhile. */
async function centrifuge(read: Set<string>): Promise<void> {
	const folder = mkdtempSync(join(tmpdir(), "live-options-"));
	const before: Partial<Config> = { tokenHmacSecret: tokenSecret, durableStorePath: folder, channelWithoutNamespace: everything };
	const rig = new CentrifugeRig(before);
	const loop = setInterval(() => rig.reader.read(1000, () => {}), 1);
	try {
		const durable = { ...everything, name: "durable", durable: true };
		const client: Partial<Config> = { clientInsecure: false, personalChannelEnabled: true, subscriptionTokenEnabled: true };
		const channels: Partial<Config> = { channelLengthMax: 100, channelNamespaces: [durable, asked] };
		rig.use(noted({ ...rig.config, ...client, subscriptionTokenHmacSecret: tokenSecret, ...channels, ...hooks }, read));
		const seconds = Math.floor(Date.now() / 1000);
		const claims = [{ sub: "ann", exp: seconds + 3600 }, {}];
		for (const claim of claims) {
			const client = rig.open();
			client.send({ connect: { token: await tokenOf(claim) }, id: 1 });
			await client.settled();
			client.send({ subscribe: { channel: "a", recover: true }, id: 2 }, { history: { channel: "a", limit: 1 }, id: 3 });
			client.send({ publish: { channel: "a", data: 1 }, id: 4 }, { subscribe: { channel: "dialog#ann" }, id: 7 });
			client.send({ rpc: { method: "none:call", data: 1 }, id: 8 });
			await client.settled();
			const token = await tokenOf({ sub: "ann", channel: "b", exp: seconds + 3600 });
			client.send({ subscribe: { channel: "b", token }, id: 5 });
			await client.settled();
			client.send({ subscribe: { channel: "durable:a", data: { consumer: "k" }, flag: 1 }, id: 6 });
			await client.settled();
		}
		rig.open().send({ connect: {}, id: 1 });
		const limits = { size: 10, ttlMs: 60_000, metaTtlMs: 60_000 };
		await rig.durable!.publish(RecordKind.text, 0, "durable:a", Buffer.from("1"), limits);
		await vi.waitFor(() => expect(rig.reader.hasRecords()).toBe(false), { timeout: 8_000, interval: 2 });
		rig.durable!.everySecond();
		for (let second = 0; second < 60; second++) {
			rig.seconds++;
			rig.endpoint.everySecond();
		}
	} finally {
		clearInterval(loop);
		rig.endpoint.stop();
		await rig.durable!.stop();
		rmSync(folder, { recursive: true });
	}
}

/** What the other parts of a shard do. */
async function shard(read: Set<string>): Promise<void> {
	const config = defaultConfig({ maxBufferedBytes: FakeTransport.bufferedBytesMax, tokenHmacSecret: tokenSecret });
	const parts = new ShardParts(config);
	const { live, options, channels, inbound, check, raw, centrifuge, console, clients, delivery, publish } = parts;
	const { incoming } = inbound;
	const nodes = { self: "a", nodes: [] };
	const apis = new ShardApis({ options: { ...options, ask: async () => nodes as never }, live, channels, incoming, tracing: null });
	const next = noted({ ...config, channelLengthMax: 100, messageRate: 5, apiKey: "k".repeat(20) }, read);
	const features = [check, publish, raw, centrifuge, console, apis.publish, apis.server, delivery];
	const commits = [live.prepare(next), ...features.flatMap((feature) => ("reload" in feature ? feature.reload(next) : []))];
	for (const commit of commits) commit();

	raw.limits();
	const token = await tokenOf({ sub: "ann", exp: Math.floor(Date.now() / 1000) + 3600 });
	const pending = raw.connect(rawRequest(`channels=a&token=${token}`));
	if ("decided" in pending) (await pending.decided)();
	raw.connect(rawRequest("channels=a"));
	console.endpoints[0]!.connect(rawRequest(""));
	const request: HttpRequest = { method: "POST", path: "/api/publish", query: "", header: () => "", address: "" };
	apis.publish.route.begin(request);
	for (const route of apis.server.routes) if (route.kind === "body") route.begin({ ...request, path: route.path });
	const header = (name: string) => (name === "x-api-key" ? "k".repeat(20) : "");
	for (const route of apis.cluster.routes ?? []) {
		if (route.kind !== "body" || route.path !== "/cluster/rebalance") continue;
		const carryOut = route.begin({ ...request, path: route.path, header });
		if (typeof carryOut === "function") await carryOut(new Uint8Array(0));
	}
	await apis.selection.route.answer({ ...request, method: "GET", path: "/cluster/select" });
	delivery.start();
	incoming.publish(RecordKind.text, { names: [], bytes: new Uint8Array(0) } as never, Buffer.from("x"), { address: "" });
	await vi.waitFor(() => expect(read).toContain("batch"), { timeout: 8_000, interval: 2 });
	for (const feature of [check, raw, centrifuge, clients]) feature.everySecond();
	await clients.drain(100);
	delivery.stop();
}

const live = [...new Set([...liveKeysOf("multi"), ...liveKeysOf("single"), ...liveKeysOf("gateway")])].sort();

describe("a live option", () => {
	const read = new Set<string>();
	beforeAll(async () => {
		await centrifuge(read);
		await shard(read);
	});
	afterAll(() => read.clear());

	it.each(live.filter((key) => elsewhere[key] === undefined && !unproven.includes(key)))(
		"%s is read from the options of the last reload",
		(key) => {
			expect(read).toContain(key);
		},
	);

	it.each(Object.entries(elsewhere))("%s has a test that changes it", (key, [file, title]) => {
		expect(live).toContain(key);
		expect(existsSync(join(root, file)), file).toBe(true);
		const text = readFileSync(join(root, file), "utf8");
		expect(text).toContain(title);
		expect(text).toContain(key);
	});

	it("is known by its key", () => {
		expect(configKeys).toEqual(expect.arrayContaining(live));
	});
});

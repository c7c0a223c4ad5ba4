import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { parseRedisAddress } from "@shardcast/config";
import { Redis } from "@shardcast/redis";
import { silentLog } from "@shardcast/telemetry";
import { type Cluster, LibraryClient, postJson, RedisServer, redisForTests, Scrape, startCluster, waitFor } from "@shardcast/testkit";
import { Centrifuge, type Subscription } from "centrifuge";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { dashboards } from "../../../deploy/grafana/dashboards.mjs";
import { metricsOf, queries } from "../../../deploy/test/metric-names.ts";

const file = `
client: { insecure: true, recovery_max_publication_limit: 5000 }
channel:
  namespaces:
    - { name: news, history_size: 5000, history_ttl: 10m, force_recovery: true, force_positioning: true, allow_publish_for_client: true }
    - { name: short, history_size: 10, history_ttl: 10m, force_recovery: true, force_positioning: true }
    - { name: market, history_size: 100, history_ttl: 10m, allow_wildcard: true }
`;

/** What one subscriber got, over all its connections. */
class Listener {
	readonly client: Centrifuge;
	readonly subscription: Subscription;
	readonly got: string[] = [];
	unrecovered = 0;
	readonly state = () => `${this.client.state}, ${this.subscription.state}`;

	constructor(url: string, channel: string) {
		this.client = new Centrifuge(`${url}/connection/websocket`, { websocket: WebSocket, minReconnectDelay: 20, maxReconnectDelay: 200 });
		this.subscription = this.client.newSubscription(channel, { minResubscribeDelay: 20, maxResubscribeDelay: 200 });
		this.subscription.on("publication", ({ data, offset }) => this.got.push(`${offset}:${data as string}`));
		this.subscription.on("subscribed", ({ wasRecovering, recovered }) => {
			if (wasRecovering && !recovered) this.unrecovered++;
		});
		this.subscription.subscribe();
		this.client.connect();
	}
}

describe.skipIf(!redisForTests())("two machines of two shards on one redis-server", () => {
	let redis: RedisServer;
	let admin: Redis;
	let directory: string;
	let nodes: Cluster[];
	const listeners: Listener[] = [];
	let channels = 0;
	beforeAll(async () => {
		redis = await RedisServer.start();
		const address = parseRedisAddress(redis.url);
		const times = { connectTimeoutMs: 1000, answerTimeoutMs: 2000 };
		admin = new Redis({ address, tls: null, ...times, clientName: "test", waitingMax: 10 }, silentLog()).open();
		directory = mkdtempSync(join(tmpdir(), "shardcast-"));
		writeFileSync(join(directory, "shardcast.yaml"), file);
		const start = (id: string) =>
			startCluster({
				shards: 2,
				// Longer than a busy machine keeps a shard or Redis waiting: what has no history, or no key, is lost or doubled by a timeout.
				flags: ["--config", join(directory, "shardcast.yaml"), "--node-id", id, "--redis-timeout", "3s"],
				env: { REDIS_URL: redis.url },
			});
		nodes = await Promise.all([start("n1"), start("n2")]);
	});
	afterAll(async () => {
		for (const { client } of listeners) client.disconnect();
		for (const node of nodes ?? []) await node.stop();
		admin?.close();
		await redis?.stop();
		rmSync(directory, { recursive: true });
	});

	const channel = () => `news:${channels++}`;
	const urls = () => nodes.flatMap((node) => [0, 1].map((shard) => node.shardUrl(shard)));
	const until = (condition: () => boolean, what: string) => waitFor(condition, { deadlineMs: 20_000, what });

	function listen(url: string, name: string): Listener {
		const listener = new Listener(url, name);
		listeners.push(listener);
		return listener;
	}

	async function everywhere(name: string): Promise<Listener[]> {
		const all = urls().map((url) => listen(url, name));
		await Promise.all(all.map(({ subscription }) => subscription.ready(20_000)));
		return all;
	}

	/** Publishes until it is taken: a refusal says that nothing has happened, and the key makes sure that a repetition is harmless. */
	async function publish(url: string, name: string, data: string, key: string | null = data): Promise<void> {
		await waitFor(
			async () => {
				const reply = await postJson(`${url.replace("ws:", "http:")}/api/publish`, {
					channel: name,
					data,
					...(key !== null && { idempotency_key: key }),
				});
				if (reply.status >= 300 || "error" in (JSON.parse(reply.body) as object)) throw new Error(`${reply.status} ${reply.body}`);
				return true;
			},
			{ deadlineMs: 20_000, what: `publishing ${data}` },
		);
	}

	/** Each of them got all of them, once, in the same order. */
	async function allGot(all: readonly Listener[], data: readonly string[]): Promise<void> {
		await waitFor(
			() => {
				const short = all.flatMap(({ got, state }, index) =>
					got.length >= data.length ? [] : [`subscriber ${index} (${state()}) has ${got.length}, the last ${got.at(-1)}`],
				);
				if (short.length > 0) throw new Error(short.join("; "));
				return true;
			},
			{ deadlineMs: 20_000, what: `${data.length} publications at ${all.length} subscribers` },
		);
		const [first] = all as [Listener];
		expect(first.got.map((text) => text.split(":")[1]).sort(), "each publication once").toEqual([...data].sort());
		for (const { got, unrecovered } of all)
			expect([got, unrecovered], "one order for all, and nobody lost its place").toEqual([first.got, 0]);
	}

	it("publish anywhere, receive everywhere once and in one order, recover on the other machine", async () => {
		const name = channel();
		const all = await everywhere(name);
		const data = Array.from({ length: 80 }, (_, index) => `m${index}`);
		await Promise.all(data.map((text, index) => publish(urls()[index % 4]!, name, text)));
		await allGot(all, data);
		expect(all[0]!.got.map((text) => Number(text.split(":")[0]))).toEqual(data.map((_, index) => index + 1));

		// One that was at position 30 on the first machine comes back on the second, where nobody asked for the channel before it.
		const other = channel();
		const origin = listen(urls()[0]!, other);
		await origin.subscription.ready(20_000);
		const later = Array.from({ length: 60 }, (_, index) => `o${index}`);
		for (const text of later.slice(0, 30)) await publish(urls()[1]!, other, text);
		await until(() => origin.got.length === 30, "30 publications on the first machine");
		for (const text of later.slice(30)) await publish(urls()[1]!, other, text);
		const back = new Centrifuge(`${urls()[3]!}/connection/websocket`, { websocket: WebSocket });
		const subscription = back.newSubscription(other, { since: { offset: 30, epoch: "" } });
		const got: string[] = [];
		subscription.on("publication", ({ data: text }) => got.push(text as string));
		const subscribed = new Promise<{ recovered: boolean }>((resolve) => subscription.on("subscribed", resolve));
		subscription.subscribe();
		back.connect();
		expect((await subscribed).recovered, "recovered on the other machine").toBe(true);
		await until(() => got.length === 30, "the 30 that it missed");
		expect(got).toEqual(later.slice(30));
		back.disconnect();
	});

	/** Longer than the ten seconds between two comparisons of a channel with Redis. */
	it("bursts longer than the history: a subscriber of another machine that only listens gets each publication once and in order", {
		timeout: 60_000,
		tags: ["long"],
	}, async () => {
		const name = `short:${channels++}`;
		const [, , ...others] = urls();
		const all = others.map((url) => listen(url, name));
		const raw = await LibraryClient.open(`${nodes[1]!.url}/?channels=${name}`);
		await Promise.all(all.map(({ subscription }) => subscription.ready(20_000)));
		const expected: string[] = [];
		const endsMs = performance.now() + 11_000;
		while (performance.now() < endsMs) {
			const batch = Array.from({ length: 100 }, (_, index) => String(expected.length + index));
			const reply = await postJson(
				`${nodes[0]!.httpUrl}/api/publish`,
				batch.map((data) => ({ channel: name, data })),
			);
			expect(reply.status, reply.body).toBe(200);
			expected.push(...batch);
		}
		await allGot(all, expected);
		await until(() => raw.messages.length >= expected.length, "all publications at the raw client");
		expect(raw.texts()).toEqual(expected);
		const metrics = await Scrape.of(nodes[1]!.httpUrl);
		expect(metrics.sum("shardcast_shared_lost_total", { reason: "gone" })).toBe(0);
		await raw.close();
	});

	it("what Redis no longer has, and pub/sub did not deliver, is told to every subscriber with a position, and counted", async () => {
		const name = `short:${channels++}`;
		const all = await everywhere(name);
		const codes = all.map(({ subscription }) => {
			const seen: number[] = [];
			subscription.on("subscribing", ({ code }) => seen.push(code));
			return seen;
		});
		const gone = async ({ httpUrl }: Cluster) => (await Scrape.of(httpUrl)).sum("shardcast_shared_lost_total", { reason: "gone" });
		const before = await Promise.all(nodes.map(gone));
		await publish(urls()[0]!, name, "first");
		await allGot(all, ["first"]);
		// As if 50 had been published that no node has heard of, more than the history keeps.
		await admin.send(null, ["HINCRBY", `ws:meta:{${name}}`, "s", "50"]);
		await publish(urls()[0]!, name, "after");
		await until(() => all.every(({ unrecovered }) => unrecovered === 1), "everyone to learn that it could not recover");
		expect(codes).toEqual(all.map(() => [2500]));
		expect((await Promise.all(nodes.map(gone))).map((count, index) => count - before[index]!)).toEqual([50, 50]);
		await publish(urls()[3]!, name, "last");
		await until(() => all.every(({ got }) => got.at(-1) === "53:last"), "the next one everywhere");
	});

	it("a shard that stands still while publications are lost tells its clients before they get a later one", async () => {
		const [node] = nodes as [Cluster];
		const name = `short:${channels++}`;
		const followed = async () => {
			const metrics = await Scrape.of(node.httpUrl);
			return [0, 1].map((shard) => metrics.sum("shardcast_shared_channels", { what: "followed", shard: String(shard) }));
		};
		const before = await waitFor(followed, { deadlineMs: 20_000, what: "the channels that each shard copies" });
		const all = await everywhere(name);
		const feeder = await waitFor(
			async () => {
				const now = await followed();
				const grown = [0, 1].filter((shard) => now[shard]! > before[shard]!);
				return grown.length === 1 ? grown : null;
			},
			{ deadlineMs: 20_000, what: "the shard that copies the channel" },
		);
		const other = 1 - feeder![0]!;
		const ends = all.map(({ subscription, got }) => {
			const seen: [code: number, last: string | undefined][] = [];
			subscription.on("subscribing", ({ code }) => seen.push([code, got.at(-1)]));
			return seen;
		});
		await publish(urls()[2]!, name, "first");
		await allGot(all, ["first"]);
		const pid = (await node.pids()).get(`shard ${other}`)!;
		process.kill(pid, "SIGSTOP");
		try {
			for (let index = 0; index < 5; index++) await publish(urls()[2]!, name, `kept${index}`);
			await admin.send(null, ["HINCRBY", `ws:meta:{${name}}`, "s", "50"]);
			await publish(urls()[2]!, name, "after");
			const others = all.filter((_, index) => index !== other);
			await until(() => others.every(({ unrecovered }) => unrecovered === 1), "the others to learn that they could not recover");
			// Then the log has what comes behind the loss, which the shard finds with it.
			await publish(urls()[2]!, name, "last");
			await until(() => others.every(({ got }) => got.at(-1) === "58:last"), "the next one at the others");
		} finally {
			process.kill(pid, "SIGCONT");
		}
		await until(() => all.every(({ unrecovered }) => unrecovered === 1), "everyone to learn that it could not recover");
		expect(ends).toEqual(all.map(() => [[2500, "6:kept4"]]));
	});

	it("messages without a history reach every subscriber of every machine once, those of one publisher in order", async () => {
		const name = `plain-${channels++}`;
		const all = await everywhere(name);
		const raw = await Promise.all([0, 1, 2, 3].map((index) => LibraryClient.open(`${urls()[index]!}/?channels=${name}`)));
		// A shard is a moment late with its subscription to the other machine's messages, and those are not kept.
		let probes = 0;
		await waitFor(
			async () => {
				for (const url of urls()) await publish(url, name, `probe${probes++}`);
				return all.every(({ got }) => urls().every((_, publisher) => got.some((text) => Number(text.split("probe")[1]) % 4 === publisher)));
			},
			{ deadlineMs: 20_000, what: "a message of each shard at each subscriber" },
		);
		const counted = (texts: readonly string[]) => texts.filter((text) => !text.includes("probe"));
		await Promise.all(
			urls().map(async (url, publisher) => {
				for (let index = 0; index < 100; index++) await publish(url, name, `${publisher}-${index}`, null);
			}),
		);
		await until(() => all.every(({ got }) => counted(got).length >= 400), "400 messages at each subscriber");
		const expected = (publisher: number) => Array.from({ length: 100 }, (_, index) => `${publisher}-${index}`);
		for (const { got } of all) {
			const texts = counted(got).map((text) => text.split(":")[1]!);
			for (let publisher = 0; publisher < 4; publisher++)
				expect(
					texts.filter((text) => text.startsWith(`${publisher}-`)),
					`what publisher ${publisher} sent`,
				).toEqual(expected(publisher));
			expect(texts.length).toBe(400);
		}
		const plain = (client: LibraryClient) => client.texts().filter((text) => /^"?\d-\d+"?$/.test(text));
		await until(() => raw.every((client) => plain(client).length >= 400), "400 messages at each raw client");
		for (const client of raw) {
			expect(plain(client).length, "messages of a raw client").toBe(400);
			await client.close();
		}
	});

	it("what a backend publishes to Redis reaches every subscriber once, with and without a history", async () => {
		const names = [`plain-${channels++}`, channel()] as const;
		const all = await Promise.all(names.map((name) => everywhere(name)));
		const send = (params: object) => admin.send(null, ["PUBLISH", "ws:publish", JSON.stringify({ method: "publish", params })]);
		await waitFor(async () => Number(await send({ channel: "nobody", data: 0 })) === nodes.length, {
			deadlineMs: 20_000,
			what: "one subscriber on each machine",
		});
		const texts = Array.from({ length: 20 }, (_, index) => `r${index}`);
		for (const data of texts) {
			await send({ channel: names[0], data });
			await send({ channel: names[1], data, idempotency_key: data });
		}
		await send({ channel: names[1], data: "without a key" });
		await admin.send(null, ["PUBLISH", "ws:publish", "no JSON"]);
		await send({ channel: names[0], data: "last" });
		await send({ channel: names[1], data: "last", idempotency_key: "last" });
		await until(() => all.flat().every(({ got }) => got.some((text) => text.endsWith(":last"))), "the last message at each subscriber");
		for (const { got } of all[0]!)
			expect(
				got.map((text) => text.split(":")[1]),
				"without a history",
			).toEqual([...texts, "last"]);
		for (const { got } of all[1]!)
			expect(got.map((text) => text.split(":")[1]).toSorted(), "with a history").toEqual([...texts, "last"].toSorted());
		for (const { httpUrl } of nodes) {
			const scrape = await Scrape.of(httpUrl);
			const counted = (result: string) => scrape.sum("shardcast_redis_published_total", { result });
			expect([counted("refused"), counted("unreadable")], "without a key, and no JSON").toEqual([1, 1]);
		}
	});

	it("patterns and raw clients without channels get what other machines publish to channels with history", async () => {
		const patterns = [0, 3].map((index) => listen(urls()[index]!, "market:eu.*"));
		const everything = await LibraryClient.open(`${urls()[2]!}/`);
		await Promise.all(patterns.map(({ subscription }) => subscription.ready(20_000)));
		for (let index = 0; index < 20; index++) await publish(urls()[index % 4]!, `market:eu.${index % 2}`, `${index}`);
		const data = Array.from({ length: 20 }, (_, index) => `${index}`);
		const seen = () => everything.texts().filter((text) => data.includes(text.replaceAll('"', "")));
		await waitFor(
			() => {
				const counts = [...patterns.map(({ got }) => got.length), seen().length];
				if (counts.some((count) => count < 20)) throw new Error(`they have ${counts.join(", ")}`);
				return true;
			},
			{ deadlineMs: 20_000, what: "20 publications at two patterns and a raw client" },
		);
		for (const { got } of patterns) expect(got.map((text) => text.split(":")[1]).sort()).toEqual([...data].sort());
		expect(seen().length, "once each").toBe(20);
		await everything.close();
	});

	/** Publishes on both machines until `stop` says so; answers with all that was taken. */
	function keepPublishing(name: string, prefix: string) {
		const published: string[] = [];
		let goesOn = true;
		const one = async (url: string, publisher: number) => {
			for (let index = 0; goesOn; index++) {
				const data = `${prefix}${publisher}-${index}`;
				await publish(url, name, data);
				published.push(data);
				// As fast as it can, it would take the CPU from the shards that start meanwhile.
				await pause(10);
			}
		};
		const running = Promise.all([one(urls()[0]!, 0), one(urls()[2]!, 1)]);
		const count = () => published.length;
		const stop = async () => {
			goesOn = false;
			await running;
			return published;
		};
		return { count, stop };
	}

	it("a shard is killed while both machines publish: whoever feeds the logs after it goes on where it was", async () => {
		const name = channel();
		const all = await everywhere(name);
		const { count, stop } = keepPublishing(name, "k");
		await until(() => count() > 50, "50 publications");
		// One of the two has the channel's log; its clients come back to it after its restart.
		for (const shard of [0, 1]) {
			await nodes[1]!.kill9(shard);
			const before = count();
			await until(() => count() > before + 50, "50 publications after the death of a shard");
			await nodes[1]!.ready();
		}
		await allGot(all, await stop());
	});

	it("connections of pub/sub are cut: what they have missed is read from the stream", async () => {
		const name = channel();
		const all = await everywhere(name);
		const { count, stop } = keepPublishing(name, "c");
		for (let round = 0; round < 5; round++) {
			const before = count();
			await until(() => count() > before + 30, "30 publications");
			await admin.send(null, ["CLIENT", "KILL", "TYPE", "PUBSUB"]);
		}
		await allGot(all, await stop());
	});

	it("Redis stops answering: publishers are told, subscribers stay, and nothing is missing afterwards", async () => {
		const name = channel();
		const all = await everywhere(name);
		await publish(urls()[0]!, name, "before");
		redis.signal("SIGSTOP");
		try {
			const refused = await postJson(`${urls()[2]!.replace("ws:", "http:")}/api/publish`, { channel: name, data: "during" });
			expect([refused.status, refused.body], "a publication while Redis does not answer").toEqual([
				503,
				expect.stringContaining("Redis did not answer"),
			]);
		} finally {
			redis.signal("SIGCONT");
		}
		await publish(urls()[2]!, name, "after");
		await until(() => all.every(({ got }) => got.at(-1)?.endsWith(":after") === true), "the publication after it");
		for (const { got, unrecovered } of all) expect([got, unrecovered]).toEqual([all[0]!.got, 0]);
	});

	it("Redis is restarted and has lost everything: subscribers are told, and begin again", async () => {
		const name = channel();
		const all = await everywhere(name);
		await publish(urls()[0]!, name, "before");
		await until(() => all.every(({ got }) => got.length === 1), "the publication before");
		await redis.end();
		await redis.start();
		await publish(urls()[1]!, name, "after");
		await until(() => all.every(({ unrecovered }) => unrecovered > 0), "each subscriber is told that it cannot be recovered");
		await publish(urls()[2]!, name, "last");
		await until(() => all.every(({ got }) => got.at(-1)?.endsWith(":last") === true), "the last publication");
	});

	it("each machine exports every metric that the dashboards show of several machines", async () => {
		const exported = new Set((await Scrape.of(nodes[0]!.httpUrl)).names());
		const shown = [...queries(dashboards).values()]
			.flatMap((expr) => metricsOf(expr))
			.filter((name) => /^shardcast_(redis|nodes?|shared)(_|$)/.test(name));
		expect(shown.length).toBeGreaterThan(15);
		expect(shown.filter((name) => !exported.has(name))).toEqual([]);
	});

	it("a machine is killed while both publish: the other one goes on, and its clients recover there", async () => {
		const name = channel();
		const all = await everywhere(name);
		const { count, stop } = keepPublishing(name, "d");
		await until(() => count() > 50, "50 publications");
		stop().catch(() => {});
		await nodes[1]!.kill9("supervisor");
		for (const folder of nodes.pop()!.sharedDirectories()) rmSync(folder, { recursive: true });
		const survivors = all.slice(0, 2);
		const before = survivors[0]!.got.length;
		for (let index = 0; index < 30; index++) await publish(urls()[0]!, name, `e${index}`);
		await until(() => survivors.every(({ got }) => got.at(-1)?.endsWith(":e29") === true), `more than ${before} publications`);
		for (const { got } of survivors) {
			expect(got).toEqual(survivors[0]!.got);
			expect(new Set(got).size).toBe(got.length);
			expect(got.map((text) => Number(text.split(":")[0]))).toEqual(got.map((_, index) => index + 1));
		}
	});
});

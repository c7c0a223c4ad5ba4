import { setTimeout as delay } from "node:timers/promises";
import { type Cluster, LibraryClient, postJson, Scrape, startCluster, stressed, waitFor } from "@shardcast/testkit";
import { Centrifuge, type PublicationContext, type SubscribedContext } from "centrifuge";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";

const settings = `
client: { insecure: true }
channel:
  namespaces:
    - { name: kept, history_size: 1000, history_ttl: 5m, force_recovery: true, presence: true }
`;
const clientCount = 200;
const channelCount = 50;
const channelsPerClient = 2;
const killingMs = stressed(4000);

interface Follower {
	readonly channel: string;
	readonly publications: PublicationContext[];
	readonly subscribed: SubscribedContext[];
}

interface Acknowledged {
	readonly offset: number;
	readonly epoch: string;
}

describe("shards that are killed again and again", () => {
	let cluster: Cluster;
	const clients: Centrifuge[] = [];
	const start = () =>
		startCluster({
			shards: 2,
			config: settings,
			// A shard that stands still is left alone until the memory is full, also on a busy machine.
			flags: ["--restart-backoff-min", "50ms", "--restart-backoff-max", "100ms", "--crash-limit", "1000", "--heartbeat-timeout", "6s"],
		});
	beforeAll(async () => {
		cluster = await start();
	});
	afterAll(async () => {
		for (const client of clients) client.disconnect();
		expect((await cluster.stop()).code, cluster.log()).toBe(0);
	});

	async function follow(channels: readonly string[]): Promise<Follower[]> {
		const client = new Centrifuge(`${cluster.url}/connection/websocket`, {
			websocket: WebSocket,
			minReconnectDelay: 50,
			maxReconnectDelay: 500,
		});
		clients.push(client);
		client.connect();
		return Promise.all(
			channels.map(async (channel) => {
				const follower: Follower = { channel, publications: [], subscribed: [] };
				const subscription = client.newSubscription(channel, { minResubscribeDelay: 50, maxResubscribeDelay: 500 });
				subscription.on("publication", (publication) => follower.publications.push(publication));
				subscription.on("subscribed", (context) => follower.subscribed.push(context));
				subscription.subscribe();
				await subscription.ready(20_000);
				return follower;
			}),
		);
	}

	/**
	 * Publishes 1, 2, 3 … and repeats each, with its key and at the other shard, until it is acknowledged. Some are repeated though they were, as if
	 * the answer had been lost.
	 */
	function publisher(channel: string) {
		const acknowledged: Acknowledged[] = [];
		const doubted: [Acknowledged, Acknowledged][] = [];
		let stopped = false;
		let repeats = 0;
		const publish = async (number: number, shard: number): Promise<Acknowledged | null> => {
			const url = cluster.shardUrl(shard % 2).replace("ws:", "http:");
			const body = { channel, data: number, idempotency_key: String(number) };
			const answer = await postJson(`${url}/api/publish`, body).catch(() => null);
			return answer?.status === 200 ? (JSON.parse(answer.body) as { result: Acknowledged }).result : null;
		};
		const work = (async () => {
			for (let number = 1; !stopped; number++) {
				for (let shard = number; acknowledged.length < number; shard++) {
					const position = await publish(number, shard);
					if (position !== null) acknowledged.push(position);
					else repeats++;
					const again = position !== null && number % 3 === 1 ? await publish(number, shard + 1) : null;
					if (again !== null) doubted.push([position!, again]);
				}
				await delay(100);
			}
		})();
		const stop = async () => {
			stopped = true;
			await work;
		};
		return { channel, acknowledged, doubted, stop, repeats: () => repeats };
	}

	const countTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);
	const epochs = new Map<string, string>();

	it("nothing that was acknowledged is lost, doubled or out of order for 200 clients on 50 channels, and no channel changes its epoch", {
		timeout: 180_000 + killingMs,
	}, async () => {
		const channels = countTo(channelCount).map((number) => `kept:${number}`);
		const followers = (
			await Promise.all(
				countTo(clientCount).map((client) =>
					follow(countTo(channelsPerClient).map((channel) => channels[(client * channelsPerClient + channel) % channelCount]!)),
				),
			)
		).flat();
		const publishers = channels.map(publisher);
		const until = performance.now() + killingMs;
		let kills = 0;
		const doubts = () => publishers.reduce((sum, { doubted }) => sum + doubted.length, 0);
		const enough = () => kills >= 2 && doubts() > 0 && publishers.every(({ acknowledged }) => acknowledged.length > 3);
		// A slow machine gets more time, so that there is something to check.
		while (performance.now() < until || (!enough() && performance.now() < until + 30_000)) {
			await delay(Math.random() * 300);
			// Until the supervisor knows of it, /ready and the pid are those of before.
			await cluster.kill9(kills % 2);
			kills++;
			await cluster.ready();
		}
		await Promise.all(publishers.map(({ stop }) => stop()));
		expect(kills).toBeGreaterThanOrEqual(2);
		// Some met a shard that had been killed.
		expect(publishers.reduce((sum, { repeats }) => sum + repeats(), 0)).toBeGreaterThan(0);
		expect(doubts()).toBeGreaterThan(0);
		for (const { channel, acknowledged, doubted } of publishers) {
			for (const [first, again] of doubted) expect(again, channel).toEqual(first);
			expect(acknowledged.length).toBeGreaterThan(3);
			expect(
				acknowledged.map(({ offset }) => offset),
				channel,
			).toEqual(countTo(acknowledged.length));
			expect(new Set(acknowledged.map(({ epoch }) => epoch)).size, channel).toBe(1);
			epochs.set(channel, acknowledged[0]!.epoch);
		}
		const sent = new Map(publishers.map(({ channel, acknowledged }) => [channel, acknowledged.length]));
		await waitFor(() => followers.every(({ channel, publications }) => publications.length >= sent.get(channel)!), {
			deadlineMs: 30_000,
			what: "every client to have everything",
		});
		for (const { channel, publications, subscribed } of followers) {
			const expected = countTo(sent.get(channel)!);
			expect(
				publications.map(({ data }) => data as number),
				channel,
			).toEqual(expected);
			expect(
				publications.map(({ offset }) => offset),
				channel,
			).toEqual(expected);
			expect(subscribed.slice(1).every(({ recovered }) => recovered)).toBe(true);
		}
		// Both shards died, so each client has come back.
		expect(followers.filter(({ subscribed }) => subscribed.length > 1).length).toBeGreaterThan(followers.length / 2);
	});

	it("while a shard stands still, publishers of a channel with history get 503 and when to come back, and go on when it is gone", async () => {
		await cluster.ready();
		const { shards } = await cluster.health();
		const url = cluster.shardUrl(0).replace("ws:", "http:");
		const publication = { channel: "kept:full", data: "x".repeat(60_000) };
		const publish = (body: unknown = publication) => postJson(`${url}/api/publish`, body);
		const batch = new Array(6).fill(publication);
		process.kill(shards[1]!.pid, "SIGSTOP");
		// In batches: one at a time, the memory may not be full before the supervisor kills the shard.
		let accepted = 0;
		for (let status = 200; status === 200 && accepted < 1000; ) {
			const answer = await publish(batch);
			status = answer.status;
			accepted += (JSON.parse(answer.body) as { result: { published: number } }).result.published;
		}
		const answer = await publish();
		expect([answer.status, answer.headers["retry-after"]]).toEqual([503, "1"]);
		expect(answer.body).toContain("history_full");
		// The supervisor kills the shard, for which nobody waits any more.
		await waitFor(async () => (await publish()).status === 200, { deadlineMs: 20_000, what: "a publish to be taken again" });
		await cluster.ready();
		expect((await Scrape.of(cluster.httpUrl)).sum("shardcast_history_full_total", { reason: "readers" })).toBeGreaterThan(0);
		const client = await LibraryClient.open(`${cluster.shardUrl(0)}/connection/websocket`);
		client.send('{"connect":{},"id":1}\n{"history":{"channel":"kept:full","limit":0},"id":2}');
		await waitFor(() => client.texts().join().includes('"id":2'), { deadlineMs: 10_000, what: "the position" });
		// Refused means that nothing has happened.
		expect(client.texts().join()).toContain(`"offset":${accepted + 1}`);
		client.close();
	});

	it("a killed shard's clients are present no more within a second", async () => {
		await cluster.ready();
		const open = async (shard: number) => {
			const client = await LibraryClient.open(`${cluster.shardUrl(shard)}/connection/websocket`);
			client.send('{"connect":{},"id":1}\n{"subscribe":{"channel":"kept:present"},"id":2}');
			await waitFor(() => client.texts().join().includes('"id":2'), { deadlineMs: 10_000, what: "the subscription" });
			return client;
		};
		const [lost, stays] = [await open(0), await open(1)];
		let asked = 10;
		const present = async (): Promise<number> => {
			const id = ++asked;
			stays.send(JSON.stringify({ presence_stats: { channel: "kept:present" }, id }));
			const replies = () => stays.texts().flatMap((frame) => frame.split("\n").map((line) => JSON.parse(line) as { id?: number }));
			const reply = () => replies().find((message) => message.id === id) as { presence_stats: { num_clients: number } } | undefined;
			await waitFor(() => reply() !== undefined, { deadlineMs: 10_000, what: "the answer" });
			return reply()!.presence_stats.num_clients;
		};
		// While a shard is late, on a busy machine, the answer is an error.
		await waitFor(async () => expect(await present()).toBe(2), { deadlineMs: 10_000, what: "both clients" });
		await cluster.kill9(0);
		// A second, and some for a machine that is busy.
		await waitFor(async () => (await present()) === 1, { deadlineMs: 3000, what: "one client to be gone" });
		await lost.closed;
		await cluster.ready();
		stays.close();
	});

	it("a restart of the whole cluster changes the epoch: a client that comes back is told that it is not recovered", async () => {
		for (const client of clients.splice(0)) client.disconnect();
		expect((await cluster.stop()).code).toBe(0);
		cluster = await start();
		const epoch = epochs.get("kept:1")!;
		const client = await LibraryClient.open(`${cluster.url}/connection/websocket`);
		const subscribe = { channel: "kept:1", recover: true, epoch, offset: 1 };
		client.send(`{"connect":{},"id":1}\n${JSON.stringify({ subscribe, id: 2 })}`);
		await waitFor(() => client.texts().join().includes('"id":2'), { deadlineMs: 10_000, what: "the subscription" });
		const replies = client
			.texts()
			.flatMap((frame) => frame.split("\n").map((line) => JSON.parse(line) as { id: number; subscribe: object }));
		const reply = replies.find(({ id }) => id === 2)!.subscribe;
		expect(reply).toMatchObject({ was_recovering: true });
		expect(reply).not.toHaveProperty("recovered");
		expect((reply as { epoch: string }).epoch).not.toBe(epoch);
		client.close();
	});
});

import { defaultConfig } from "@shardcast/config";
import { httpRequest, waitFor } from "@shardcast/testkit";
import { Centrifuge, type Subscription } from "centrifuge";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { startShards, type TestShards } from "../../harness.ts";

const plain = defaultConfig().channelWithoutNamespace;
const history = { historySize: 5000, historyTtlMs: 600_000, forceRecovery: true, allowHistoryForSubscriber: true };
const bytes = 10_000;
const deadlineMs = 20_000;

/** The library's client over a socket that stops reading when it is told to. */
class SlowClient {
	readonly client: Centrifuge;
	/** What happened to connection and subscriptions. */
	readonly events: string[] = [];
	readonly numbers = new Map<string, number[]>();
	readonly #sockets: WebSocket[] = [];

	constructor(url: string) {
		const sockets = this.#sockets;
		class Socket extends WebSocket {
			constructor(...args: ConstructorParameters<typeof WebSocket>) {
				super(...args);
				sockets.push(this);
			}
		}
		this.client = new Centrifuge(`${url}/connection/websocket`, { websocket: Socket, timeout: deadlineMs, minReconnectDelay: 10 });
		this.client.on("connected", () => this.events.push("connected"));
		this.client.on("connecting", ({ code }) => code !== 0 && this.events.push(`connecting ${code}`));
	}

	async subscribe(channel: string): Promise<Subscription> {
		const subscription = this.client.newSubscription(channel);
		const numbers: number[] = [];
		this.numbers.set(channel, numbers);
		subscription.on("publication", ({ data }) => numbers.push(Number((data as string).split(":")[0])));
		subscription.on("subscribing", ({ code }) => code !== 0 && this.events.push(`${channel} subscribing ${code}`));
		subscription.on("subscribed", ({ wasRecovering, recovered }) => {
			if (wasRecovering) this.events.push(`${channel} ${recovered ? "recovered" : "not recovered"}`);
		});
		subscription.subscribe();
		await subscription.ready(deadlineMs);
		return subscription;
	}

	pause(): void {
		this.#sockets.at(-1)!.pause();
	}

	resume(): void {
		this.#sockets.at(-1)!.resume();
	}

	last(channel: string): number | undefined {
		return this.numbers.get(channel)!.at(-1);
	}
}

describe("npm centrifuge that reads too slowly", () => {
	let cluster: TestShards;
	let slow: SlowClient;
	beforeAll(async () => {
		cluster = await startShards(1, {
			config: {
				clientInsecure: true,
				maxBufferedBytes: 256 * 1024,
				pingIntervalMs: 600_000,
				channelWithoutNamespace: { ...plain, slowClient: "drop-oldest" },
				channelNamespaces: [
					{ ...plain, name: "latest", slowClient: "keep-latest", slowClientKeyTag: "symbol" },
					{ ...plain, ...history, name: "kept", slowClient: "keep-latest" },
					{ ...plain, ...history, name: "strict", slowClient: "disconnect" },
				],
			},
			historyBytes: 32 * 1024 * 1024,
		});
	});
	afterEach(() => slow.client.disconnect());
	afterAll(() => cluster.stop());

	const count = (name: Parameters<TestShards["shards"][0]["row"]["get"]>[0]): number => cluster.shards[0].row.get(name);

	/** One publication into each channel. */
	async function publish(channels: readonly string[], number: number): Promise<void> {
		for (const channel of channels) {
			const data = `${number}:`.padEnd(bytes, ".");
			const body = Buffer.from(JSON.stringify({ channel, data, tags: { symbol: `s${number % 3}` } }));
			const headers = { "content-type": "application/json" };
			const post = () => httpRequest(`${cluster.shards[0].httpUrl}/api/publish`, { method: "POST", headers, body });
			// A history whose readers are behind says so.
			await waitFor(async () => (await post()).status < 300, { deadlineMs, what: `publication ${number}` });
		}
	}

	it("misses what each namespace lets it miss, and nothing of a subscription with recovery; replies wait for it", async () => {
		const channels = ["news", "latest:prices", "kept:orders"];
		slow = new SlowClient(cluster.shards[0].url);
		slow.client.connect();
		const subscriptions = await Promise.all(channels.map((channel) => slow.subscribe(channel)));
		slow.pause();
		let sent = 0;
		const missed = () => count("laneGaps") > 0 && count("laneDropsOldest") > 0 && count("laneDropsReplaced") > 0;
		while (!missed() && sent < 2000) await publish(channels, sent++);
		const replies = [subscriptions[2].history({ limit: 1 }), subscriptions[2].history({ limit: 2 })];
		for (const until = sent + 10; sent < until; ) await publish(channels, sent++);
		slow.resume();
		expect((await Promise.all(replies)).map(({ publications }) => publications.length)).toEqual([1, 2]);
		await waitFor(() => channels.every((channel) => slow.last(channel) === sent - 1), { deadlineMs, what: "the newest of each channel" });
		await waitFor(() => count("laneClients") === 0, { deadlineMs, what: "the client out of its lane" });
		for (const until = sent + 3; sent < until; ) await publish(channels, sent++);
		await waitFor(() => channels.every((channel) => slow.last(channel) === sent - 1), { deadlineMs, what: "what came after that" });
		const all = Array.from({ length: sent }, (_, number) => number);
		const [news, latest, kept] = channels.map((channel) => slow.numbers.get(channel)!);
		expect(kept, "everything once, in order").toEqual(all);
		for (const got of [news, latest]) expect(got, "in order, none twice").toEqual([...new Set(got)].sort((one, other) => one - other));
		expect(latest!.slice(-6), "the newest of each key, and what came after it").toEqual(all.slice(-6));
		expect(2 * sent - news!.length - latest!.length).toBe(count("laneDropsOldest") + count("laneDropsReplaced"));
		expect(slow.events).toEqual(["connected", "kept:orders subscribing 2500", "kept:orders recovered"]);
		expect(count("closedSlow")).toBe(0);
	}, 60_000);

	it("is closed with 3008 where nothing may be missing, connects again and recovers everything", async () => {
		slow = new SlowClient(cluster.shards[0].url);
		slow.client.connect();
		await slow.subscribe("strict:orders");
		slow.pause();
		let sent = 0;
		while (count("droppedMessages") === 0 && sent < 2000) await publish(["strict:orders"], sent++);
		slow.resume();
		for (const until = sent + 10; sent < until; ) await publish(["strict:orders"], sent++);
		await waitFor(() => slow.last("strict:orders") === sent - 1, { deadlineMs, what: "the newest" });
		expect(slow.numbers.get("strict:orders")).toEqual(Array.from({ length: sent }, (_, number) => number));
		expect(slow.events).toEqual(["connected", "strict:orders subscribing 1", "connecting 3008", "connected", "strict:orders recovered"]);
	}, 60_000);
});

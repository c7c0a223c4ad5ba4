import { type Cluster, postJson, startCluster, waitFor } from "@shardcast/testkit";
import { Centrifuge, type PublicationContext, type SubscriptionOptions } from "centrifuge";
import { Centrifuge as CentrifugeProtobuf } from "centrifuge/build/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";

const file = `
client: { insecure: true }
channel:
  namespaces:
    - { name: kept, history_size: 1000, history_ttl: 5m, force_recovery: true }
    - { name: own, exclude_publisher: true }
    - { name: market, allow_tags_filter: true, allow_wildcard: true }
    - { name: delta, history_size: 1000, history_ttl: 5m, force_recovery: true, allowed_delta_types: [fossil], delta_publish: true }
`;

/** What a namespace can do beyond plain history, with the library's clients: JSON on shard 0, Protobuf on shard 1. */
describe("npm centrifuge on 2 shards: what namespaces can do", () => {
	let cluster: Cluster;
	const clients: Centrifuge[] = [];
	beforeAll(async () => {
		cluster = await startCluster({ shards: 2, config: file });
	});
	afterAll(async () => {
		for (const client of clients) client.disconnect();
		expect((await cluster.stop()).code, cluster.log()).toBe(0);
	});

	async function both(): Promise<Centrifuge[]> {
		// Their types differ in nothing that is public.
		const kinds = [Centrifuge, CentrifugeProtobuf as unknown as typeof Centrifuge];
		const made = kinds.map((Kind, shard) => new Kind(`${cluster.shardUrl(shard)}/connection/websocket`, { websocket: WebSocket }));
		clients.push(...made);
		for (const client of made) client.connect();
		await Promise.all(made.map((client) => client.ready(10_000)));
		return made;
	}

	async function listen(client: Centrifuge, channel: string, options?: Partial<SubscriptionOptions>): Promise<PublicationContext[]> {
		const publications: PublicationContext[] = [];
		const subscription = client.newSubscription(channel, options);
		subscription.on("publication", (publication) => publications.push(publication));
		subscription.subscribe();
		await subscription.ready(10_000);
		return publications;
	}

	/** Over HTTP, at this shard. */
	async function publish(shard: number, message: object): Promise<unknown> {
		const reply = await postJson(`${cluster.shardUrl(shard).replace("ws:", "http:")}/api/publish`, message);
		return JSON.parse(reply.body) as unknown;
	}

	/** Data as both kinds of client see it: bytes are JSON here. */
	const dataOf = ({ data }: PublicationContext): unknown =>
		data instanceof Uint8Array ? (JSON.parse(new TextDecoder().decode(data)) as unknown) : data;

	it.each(["kept:once", "once"])(
		"a message with an idempotency key is published once, whichever shard gets its repetition: %s",
		async (channel) => {
			const received = await Promise.all((await both()).map((client) => listen(client, channel)));
			const message = { channel, data: 1, tags: { a: "é" }, idempotency_key: "key" };
			const first = await publish(0, message);
			if (channel === "once") expect(first).toEqual({ result: {} });
			else expect(first).toEqual({ result: { offset: 1, epoch: expect.any(String) } });
			expect(await publish(1, message)).toEqual(first);
			await publish(1, { ...message, data: 2, idempotency_key: "other" });
			await waitFor(() => received.every(({ length }) => length >= 2), { deadlineMs: 10_000, what: "both publications" });
			for (const publications of received) {
				expect(publications.map(dataOf).sort()).toEqual([1, 2]);
				// Without a history the second one, which the other shard took, may come first.
				expect(publications.find((each) => dataOf(each) === 1)!.tags).toEqual({ a: "é" });
			}
		},
	);

	it("subscribers with a tag filter get what it matches, the others everything", async () => {
		const clients = await both();
		const filter = { key: "ticker", cmp: "in", vals: ["BTC", "ETH"] } as const;
		const some = await Promise.all(
			clients.map((client) => listen(client, "market:a", { tagsFilter: { ...filter, vals: [...filter.vals] } })),
		);
		const all = await Promise.all((await both()).map((client) => listen(client, "market:a")));
		for (const [index, ticker] of ["BTC", "DOGE", "ETH"].entries())
			await publish(0, { channel: "market:a", data: index, tags: { ticker } });
		await waitFor(() => all.every(({ length }) => length === 3) && some.every(({ length }) => length === 2), {
			deadlineMs: 10_000,
			what: "what each is to get",
		});
		for (const publications of all) expect(publications.map(dataOf)).toEqual([0, 1, 2]);
		for (const publications of some) expect(publications.map(dataOf)).toEqual([0, 2]);
	});

	it("subscribers with deltas see whole publications, also after a lost connection", async () => {
		const clients = await both();
		const received = await Promise.all(clients.map((client) => listen(client, "delta:a", { delta: "fossil" })));
		const order = (number: number) => ({ ticker: "BTC-USD", note: "always the same, in Zürich as elsewhere", number });
		const send = (number: number) => publish(number % 2, { channel: "delta:a", data: order(number) });
		// One at a time: those that a shard takes together may all be sent whole.
		const sendAll = async (numbers: readonly number[]) => {
			for (const number of numbers) {
				await send(number);
				await waitFor(() => received.every(({ length }) => length >= number), { deadlineMs: 10_000, what: `publication ${number}` });
			}
		};
		await sendAll([1, 2, 3]);
		for (const client of clients) client.disconnect();
		await send(4);
		for (const client of clients) client.connect();
		await Promise.all(clients.map((client) => client.getSubscription("delta:a")!.ready(10_000)));
		await sendAll([5, 6]);
		for (const publications of received) expect(publications.map(dataOf)).toEqual([1, 2, 3, 4, 5, 6].map(order));
		// The library counts them for itself.
		const counts = clients.map((client) => (client.getSubscription("delta:a") as unknown as { _deltaNumDelta: number })._deltaNumDelta);
		for (const count of counts) expect(count).toBeGreaterThanOrEqual(2);
	});

	it("subscribers of a pattern get the publications of all channels that match, from both shards", async () => {
		const received = await Promise.all((await both()).map((client) => listen(client, "market:*.trade")));
		for (const [index, channel] of ["market:BTC.trade", "market:BTC.book", "market:ETH.trade"].entries())
			await publish(index % 2, { channel, data: index });
		await waitFor(() => received.every(({ length }) => length === 2), { deadlineMs: 10_000, what: "both publications" });
		for (const publications of received) expect(publications.map(dataOf).sort()).toEqual([0, 2]);
	});

	it("with exclude_publisher, a client gets what clients of another shard publish, but not its own", async () => {
		const clients = await both();
		const received = await Promise.all(clients.map((client) => listen(client, "own:a")));
		// Both publish under the number 1 of their shard.
		for (const [index, client] of clients.entries()) await client.publish("own:a", index === 0 ? 0 : new TextEncoder().encode("1"));
		await publish(0, { channel: "own:a", data: 2 });
		await waitFor(() => received.every(({ length }) => length >= 2), { deadlineMs: 10_000, what: "what the others have published" });
		expect(received.map((publications) => publications.map(dataOf).sort())).toEqual([
			[1, 2],
			[0, 2],
		]);
	});
});

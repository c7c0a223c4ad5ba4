import { type Cluster, LibraryClient, postJson, startCluster, waitFor } from "@shardcast/testkit";
import { Centrifuge, type PublicationContext } from "centrifuge";
import { Centrifuge as CentrifugeProtobuf } from "centrifuge/build/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";

const file = `
client: { insecure: true }
channel:
  namespaces:
    - { name: kept, history_size: 1000, history_ttl: 5m, force_recovery: true }
    - { name: seen, presence: true }
    - { name: short, history_size: 2, history_ttl: 5m, force_recovery: true }
`;

/** Each at its shard: 0 and 1 by their own ports, the others through the balancer. */
describe("npm centrifuge on 2 shards", () => {
	let cluster: Cluster;
	const clients: Centrifuge[] = [];
	beforeAll(async () => {
		cluster = await startCluster({ shards: 2, config: file });
	});
	afterAll(async () => {
		for (const client of clients) client.disconnect();
		expect((await cluster.stop()).code, cluster.log()).toBe(0);
	});

	async function connect(url: string): Promise<Centrifuge> {
		const client = new Centrifuge(`${url}/connection/websocket`, { websocket: WebSocket });
		clients.push(client);
		client.connect();
		await client.ready(10_000);
		return client;
	}

	async function listen(client: Centrifuge, channel: string): Promise<PublicationContext[]> {
		const publications: PublicationContext[] = [];
		const subscription = client.newSubscription(channel);
		subscription.on("publication", (publication) => publications.push(publication));
		subscription.subscribe();
		await subscription.ready(10_000);
		return publications;
	}

	const both = async () => Promise.all([connect(cluster.shardUrl(0)), connect(cluster.shardUrl(1)), connect(cluster.url)]);

	it("subscribers on both shards get what a client publishes, the publisher included, and what is published over HTTP", async () => {
		const all = await both();
		const received = await Promise.all(all.map((client) => listen(client, "news")));
		await all[0]!.publish("news", { text: "from a client", list: [1, "é"] });
		await postJson(`${cluster.httpUrl}/api/publish`, { channel: "news", data: { text: "over HTTP" } });
		await waitFor(() => received.every(({ length }) => length === 2), { deadlineMs: 10_000, what: "both publications everywhere" });
		for (const publications of received) {
			const [own, overHttp] = ["from a client", "over HTTP"].map(
				(text) => publications.find(({ data }) => (data as { text: string }).text === text)!,
			);
			expect(own!.info).toMatchObject({ user: "" });
			expect(own!.info!.client).toMatch(/^[-0-9a-f]{36}$/);
			expect(overHttp!.info).toBeUndefined();
			const data = publications.map(({ data }) => data as unknown);
			expect(data).toHaveLength(2);
			expect(data).toEqual(expect.arrayContaining([{ text: "from a client", list: [1, "é"] }, { text: "over HTTP" }]));
		}
	});

	it("raw clients of a channel and clients of the protocol hear each other; what is not JSON arrives as a string", async () => {
		const [raw, client] = [await LibraryClient.open(`${cluster.shardUrl(1)}/?channels=mixed`), await connect(cluster.shardUrl(0))];
		const publications = await listen(client, "mixed");
		await client.publish("mixed", { from: "the protocol" });
		await waitFor(() => raw.texts().length === 1, { deadlineMs: 10_000, what: "the raw client's message" });
		expect(raw.texts()).toEqual(['{"from":"the protocol"}']);
		raw.send('{"from": "a raw client"}');
		raw.send("no JSON");
		await waitFor(() => publications.length === 3, { deadlineMs: 10_000, what: "the raw client's messages" });
		expect(publications.map(({ data }) => data as unknown)).toEqual([{ from: "the protocol" }, { from: "a raw client" }, "no JSON"]);
		raw.close();
	});

	it("clients of the Protobuf protocol and of JSON hear each other; bytes that are no JSON arrive as Base64", async () => {
		const binary = new CentrifugeProtobuf(`${cluster.shardUrl(0)}/connection/websocket`, {
			websocket: WebSocket,
			protocol: "protobuf",
		} as object) as unknown as Centrifuge;
		clients.push(binary);
		binary.connect();
		await binary.ready(10_000);
		const json = await connect(cluster.shardUrl(1));
		const [toBinary, toJson] = [await listen(binary, "kept:both"), await listen(json, "kept:both")];
		await json.publish("kept:both", { from: "JSON" });
		await binary.publish("kept:both", Buffer.from('{"from":"Protobuf"}'));
		await binary.publish("kept:both", Uint8Array.of(255, 0, 1));
		await waitFor(() => toBinary.length === 3 && toJson.length === 3, { deadlineMs: 10_000, what: "three publications at both" });
		expect(toJson.map(({ data }) => data as unknown)).toEqual([{ from: "JSON" }, { from: "Protobuf" }, "/wAB"]);
		expect(toBinary.map(({ data }) => Buffer.from(data as Uint8Array).toString("latin1"))).toEqual([
			'{"from":"JSON"}',
			'{"from":"Protobuf"}',
			"\xff\0\x01",
		]);
		expect(offsets(toBinary)).toEqual([1, 2, 3]);
		expect(toBinary.map(({ info }) => info?.client)).toEqual(toJson.map(({ info }) => info?.client));
		const { publications } = await binary.history("kept:both", { limit: 1 });
		expect(Buffer.from(publications[0]!.data as Uint8Array).toString()).toBe('{"from":"JSON"}');
	});

	it("a client that has unsubscribed hears nothing more, and errors have their codes", async () => {
		const client = await connect(cluster.url);
		const publications = await listen(client, "left");
		client.getSubscription("left")!.unsubscribe();
		const others = await listen(client, "stays");
		await client.publish("left", 1);
		await client.publish("stays", 2);
		await waitFor(() => others.length === 1, { deadlineMs: 10_000, what: "the other channel's publication" });
		expect(publications).toEqual([]);
		await expect(client.rpc("anything", {})).rejects.toMatchObject({ code: 108 });
		await expect(client.publish("unknown:channel", 1)).rejects.toMatchObject({ code: 102 });
	});

	/** Publishes numbers by POST, one after the other, until stopped; a number counts when it was acknowledged. */
	function publishNumbers(channel: string): { readonly acknowledged: number[]; stop(): Promise<void> } {
		const acknowledged: number[] = [];
		let stopped = false;
		const work = (async () => {
			for (let number = 1; !stopped; number++) {
				const answer = await postJson(`${cluster.httpUrl}/api/publish`, { channel, data: number }).catch(() => null);
				if (answer?.status === 200) acknowledged.push(number);
				// At most 50 a second: a client that is away for a few seconds must not miss more than the 300 that are recovered.
				await new Promise((resolve) => setTimeout(resolve, 20));
			}
		})();
		return {
			acknowledged,
			stop: () => {
				stopped = true;
				return work;
			},
		};
	}
	const numbers = (publications: readonly PublicationContext[]) => publications.map(({ data }) => data as number);
	const offsets = (publications: readonly PublicationContext[]) => publications.map(({ offset }) => offset);
	const countUp = (from: number, count: number) => Array.from({ length: count }, (_, index) => from + index);

	it("a channel with history has offsets that count up, the same on both shards, and its history can be read", async () => {
		const all = await both();
		const received = await Promise.all(all.map((client) => listen(client, "kept:news")));
		const raw = await LibraryClient.open(`${cluster.shardUrl(1)}/?channels=kept:news`);
		for (let number = 0; number < 50; number++) await (number % 2 === 0 ? all[0]! : all[1]!).publish("kept:news", { number });
		await waitFor(() => received.every(({ length }) => length === 50), { deadlineMs: 10_000, what: "50 publications everywhere" });
		for (const publications of received) {
			expect(publications.map(({ data }) => (data as { number: number }).number)).toEqual(countUp(0, 50));
			expect(offsets(publications)).toEqual(countUp(1, 50));
			expect(new Set(publications.map(({ info }) => info!.client)).size).toBe(2);
		}
		await waitFor(() => raw.texts().length === 50, { deadlineMs: 10_000, what: "50 messages for the raw client" });
		raw.close();
		const history = await all[2]!.history("kept:news", { limit: 3, reverse: true });
		expect(history.offset).toBe(50);
		expect(offsets(history.publications as PublicationContext[])).toEqual([50, 49, 48]);
		expect(history.publications[0]!.info!.client).toBe(received[0]![49]!.info!.client);
		const since = { offset: 10, epoch: history.epoch };
		expect(offsets((await all[0]!.history("kept:news", { limit: 2, since })).publications as PublicationContext[])).toEqual([11, 12]);
		await expect(all[0]!.history("kept:news", { since: { offset: 1, epoch: "another" } })).rejects.toMatchObject({ code: 112 });
		await expect(all[0]!.history("news", {})).rejects.toMatchObject({ code: 108 });
	});

	it("a connection that is gone for two seconds costs nothing: all publications, once, in order", async () => {
		const client = await connect(cluster.url);
		const publications = await listen(client, "kept:drop");
		const recovered: boolean[] = [];
		client.getSubscription("kept:drop")!.on("subscribed", (context) => recovered.push(context.recovered));
		const publisher = publishNumbers("kept:drop");
		await waitFor(() => publications.length > 20, { deadlineMs: 10_000, what: "some publications" });
		client.disconnect();
		await new Promise((resolve) => setTimeout(resolve, 2000));
		client.connect();
		await client.ready(10_000);
		await waitFor(() => recovered.length === 1, { deadlineMs: 10_000, what: "the subscription to be back" });
		await publisher.stop();
		const { acknowledged } = publisher;
		await waitFor(() => publications.length >= acknowledged.length, { deadlineMs: 10_000, what: "everything" });
		expect(numbers(publications)).toEqual(acknowledged);
		expect(recovered).toEqual([true]);
	});

	it("presence counts the clients of all shards, and one that has left no more", async () => {
		const [a, b] = [await connect(cluster.shardUrl(0)), await connect(cluster.shardUrl(1))];
		await listen(a, "seen:c");
		await listen(b, "seen:c");
		const bothThere = async () => {
			const present = (await a.presence("seen:c")).clients;
			expect(Object.values(present).map(({ client, user }) => ({ client, user }))).toHaveLength(2);
			expect(await b.presenceStats("seen:c")).toEqual({ numClients: 2, numUsers: 1 });
			return true;
		};
		// While a shard is late, on a busy machine, the answer is an error.
		await waitFor(bothThere, { deadlineMs: 5000, what: "both clients" });
		a.disconnect();
		await waitFor(async () => (await b.presenceStats("seen:c")).numClients === 1, { deadlineMs: 5000, what: "one client to be gone" });
	});

	it("what is not kept any more is told: not recovered", async () => {
		const client = await connect(cluster.url);
		const publications = await listen(client, "short:a");
		await client.publish("short:a", 1);
		await waitFor(() => publications.length === 1, { deadlineMs: 10_000, what: "the first publication" });
		client.disconnect();
		for (const number of [2, 3, 4]) await postJson(`${cluster.httpUrl}/api/publish`, { channel: "short:a", data: number });
		const back = new Promise<unknown>((resolve) => client.getSubscription("short:a")!.once("subscribed", resolve));
		client.connect();
		expect(await back).toMatchObject({ wasRecovering: true, recovered: false, streamPosition: { offset: 4 } });
		expect(numbers(publications)).toEqual([1]);
	});

	it("a shard that is killed costs its clients a moment: they are subscribed again on the others", async () => {
		const client = await connect(cluster.url);
		const others = await Promise.all([connect(cluster.url), connect(cluster.url)]);
		const received = await Promise.all([client, ...others].map((each) => listen(each, "survives")));
		const { shards } = await cluster.health();
		process.kill(shards[0]!.pid, "SIGKILL");
		let tries = 0;
		await waitFor(
			async () => {
				await postJson(`${cluster.httpUrl}/api/publish`, { channel: "survives", data: ++tries }).catch(() => {});
				return received.every((publications) => publications.some(({ data }) => data === tries - 1));
			},
			{ deadlineMs: 30_000, what: "everybody to hear the same publication again" },
		);
	});
});

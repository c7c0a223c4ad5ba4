import { type Cluster, LibraryClient, postJson, startCluster, waitFor } from "@shardcast/testkit";
import { Centrifuge, type PublicationContext } from "centrifuge";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";

/** Each at its shard: 0 and 1 by their own ports, the others through the balancer. */
describe("npm centrifuge on 2 shards", () => {
	let cluster: Cluster;
	const clients: Centrifuge[] = [];
	beforeAll(async () => {
		cluster = await startCluster({ shards: 2, flags: ["--client-insecure"] });
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
			const data = publications.map(({ data }) => data as unknown);
			expect(data).toHaveLength(2);
			expect(data).toEqual(expect.arrayContaining([{ text: "from a client", list: [1, "é"] }, { text: "over HTTP" }]));
		}
	});

	it("raw clients of a channel and clients of the protocol hear each other; what is no JSON arrives as a string", async () => {
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

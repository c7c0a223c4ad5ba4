import { describe, expect, it } from "vitest";
import { ManualRings } from "./support/rings.ts";

describe("the collector of webhooks", () => {
	it("tells what clients do, with their users, and the end of subscriptions with the end of the connection", async () => {
		const rings = new ManualRings();
		rings.write(0, ["connect", 1, 1, "c1", "ann", "websocket", "json"], ["subscribe", 2, 1, "news"], ["subscribe", 3, 1, "chat"]);
		rings.write(0, ["unsubscribe", 4, 1, "chat", 0], ["disconnect", 5, 1, 3001]);
		expect(await rings.told()).toEqual([
			{ type: "start" },
			{ type: "connect", client: "c1", user: "ann", transport: "websocket", protocol: "json" },
			{ type: "subscribe", client: "c1", user: "ann", channel: "news" },
			{ type: "occupied", channel: "news" },
			{ type: "subscribe", client: "c1", user: "ann", channel: "chat" },
			{ type: "occupied", channel: "chat" },
			{ type: "unsubscribe", client: "c1", user: "ann", channel: "chat", code: 0 },
			{ type: "unsubscribe", client: "c1", user: "ann", channel: "news", code: 1 },
			{ type: "disconnect", client: "c1", user: "ann", code: 3001 },
			{ type: "vacated", channel: "chat" },
			{ type: "vacated", channel: "news" },
		]);
		expect(rings.webhooks.sizes).toEqual({ clients: 0, channels: 0 });
	});

	it("tells what happens to nodes, also a webhook for some namespaces, and not one for other events", async () => {
		const rings = new ManualRings({ namespaces: ["chat"] }, [{ name: "main", batch_delay: 0, namespaces: ["chat"] }]);
		await rings.told();
		const node = { id: "n2", address: "10.0.0.2:3005", region: "eu", status: "serving", health: "healthy" };
		rings.webhooks.nodeChanged({ type: "joined", node });
		rings.webhooks.nodeChanged({ type: "updated", node: { ...node, status: "draining" } });
		rings.webhooks.nodeChanged({ type: "left", id: "n2", reason: "timeout" });
		const { id: name, ...facts } = node;
		expect(await rings.told()).toEqual([
			{ type: "node_joined", node: name, ...facts },
			{ type: "node_updated", node: name, ...facts, status: "draining" },
			{ type: "node_left", node: "n2", reason: "timeout" },
		]);
		const event = { nodes: 3, connections: 270, maxConnections: 300, load: 0.9 };
		rings.webhooks.nodeChanged({ type: "scaleUp", event });
		rings.webhooks.nodeChanged({ type: "scaleDown", event: { ...event, connections: 30, load: 0.1 } });
		expect(await rings.told()).toEqual([
			{ type: "scale_up", nodes: 3, connections: 270, max_connections: 300, load: 0.9 },
			{ type: "scale_down", nodes: 3, connections: 30, max_connections: 300, load: 0.1 },
		]);
		rings.use([{ name: "main", batch_delay: 0, events: ["connect", "node_left"] }]);
		rings.webhooks.nodeChanged({ type: "joined", node });
		rings.webhooks.nodeChanged({ type: "left", id: "n2", reason: "stopped" });
		expect(await rings.told()).toEqual([{ type: "node_left", node: "n2", reason: "stopped" }]);
	});

	it("a channel is occupied once by its first subscriber and vacated once by its last, on whatever shards they are", async () => {
		const rings = new ManualRings();
		for (const slot of [0, 1]) rings.write(slot, ["connect", 1, 1, `c${slot}`, "", "websocket", "json"], ["subscribe", 2, 1, "news"]);
		rings.write(0, ["disconnect", 3, 1, 1000]);
		expect((await rings.channels()).sort()).toEqual(["occupied news"]);
		rings.write(1, ["disconnect", 4, 1, 1000]);
		expect(await rings.channels()).toEqual(["vacated news"]);
	});

	it("a channel is not vacated by a client that comes back within the delay, on another shard as well", async () => {
		const rings = new ManualRings({ webhookVacatedDelayMs: 5000 });
		rings.write(0, ["connect", 1, 1, "c0", "", "websocket", "json"], ["subscribe", 1, 1, "news"], ["disconnect", 1, 1, 3001]);
		expect(await rings.channels()).toEqual(["occupied news"]);
		rings.stepMs = 4999;
		rings.write(1, ["connect", 1, 1, "c1", "", "websocket", "json"], ["subscribe", 1, 1, "news"]);
		expect(await rings.channels()).toEqual([]);
		rings.write(1, ["unsubscribe", 1, 1, "news", 0]);
		expect(await rings.channels()).toEqual([]);
		expect(await rings.channels(), "the delay has begun again").toEqual([]);
		rings.stepMs = 1;
		expect(await rings.channels()).toEqual(["vacated news"]);
	});

	it("a new delay applies to the channels that a client leaves from then on", async () => {
		const rings = new ManualRings({ webhookVacatedDelayMs: 60_000 });
		rings.write(0, ["connect", 1, 1, "c0", "", "websocket", "json"], ["subscribe", 1, 1, "news"]);
		expect(await rings.channels()).toEqual(["occupied news"]);
		rings.use([{ name: "main", batch_delay: 0 }], { webhookVacatedDelayMs: 500 });
		rings.write(0, ["unsubscribe", 1, 1, "news", 0]);
		expect([await rings.channels(), await rings.channels()].flat()).toEqual(["vacated news"]);
	});

	it("a shard that was killed: what it had written is told, and then that its clients are gone", async () => {
		const rings = new ManualRings();
		rings.write(0, ["connect", 1, 1, "a", "ann", "websocket", "json"], ["subscribe", 1, 1, "news"]);
		rings.write(1, ["connect", 1, 1, "b", "bob", "websocket", "json"], ["subscribe", 1, 1, "news"], ["subscribe", 1, 1, "own"]);
		await rings.told();
		rings.write(1, ["subscribe", 1, 1, "last"]);
		rings.webhooks.shardDied(1);
		expect(await rings.told()).toEqual([
			{ type: "subscribe", client: "b", user: "bob", channel: "last" },
			{ type: "occupied", channel: "last" },
			{ type: "unsubscribe", client: "b", user: "bob", channel: "news", code: 1 },
			{ type: "unsubscribe", client: "b", user: "bob", channel: "own", code: 1 },
			{ type: "unsubscribe", client: "b", user: "bob", channel: "last", code: 1 },
			{ type: "disconnect", client: "b", user: "bob", code: 1006 },
			{ type: "vacated", channel: "own" },
			{ type: "vacated", channel: "last" },
		]);
		rings.webhooks.shardDied(1);
		expect(await rings.told(), "once").toEqual([]);
		rings.write(1, ["connect", 1, 1, "c", "", "websocket", "json"]);
		expect(await rings.told(), "its successor begins with the same numbers").toEqual([
			{ type: "connect", client: "c", user: "", transport: "websocket", protocol: "json" },
		]);
	});

	it("a snapshot brings it up to date: what has changed is told, what was there already is not, and the rest is a gap", async () => {
		const rings = new ManualRings();
		for (const key of [1, 2]) rings.write(0, ["connect", 1, key, `c${key}`, "", "websocket", "json"], ["subscribe", 1, key, "news"]);
		await rings.told();
		rings.write(
			0,
			["snapshot", 2, 9, false],
			["client", 2, 2, "c2", "", "websocket", "json"],
			["channel", 2, 2, "other"],
			["clientEnd", 2, 2],
		);
		rings.write(0, ["client", 2, 3, "c3", "", "websocket", "json"], ["clientEnd", 2, 3], ["snapshotEnd", 2]);
		const told = await rings.told();
		expect(told.map(({ type, client, channel }) => [type, client ?? channel])).toEqual([
			["subscribe", "c2"],
			["occupied", "other"],
			["unsubscribe", "c2"],
			["connect", "c3"],
			["unsubscribe", "c1"],
			["disconnect", "c1"],
			["vacated", "news"],
		]);
		expect(rings.webhooks.readings()[0]!.dropped, "9 found no room, 5 of them are made up for").toBe(4);
		expect(rings.lastSeqs.at(-1)! - rings.lastSeqs.at(-2)!, "the numbers have the gap").toBe(5);
	});

	it("a quiet snapshot tells nothing: it is what was there when webhooks were switched on", async () => {
		const rings = new ManualRings();
		await rings.told();
		rings.write(
			0,
			["snapshot", 2, 5, true],
			["client", 2, 2, "c2", "", "websocket", "json"],
			["channel", 2, 2, "news"],
			["clientEnd", 2, 2],
		);
		rings.write(0, ["snapshotEnd", 2]);
		expect(await rings.told()).toEqual([]);
		expect(rings.webhooks.readings()[0]!.dropped).toBe(0);
		rings.write(0, ["disconnect", 3, 2, 1000]);
		expect(
			(await rings.told()).map(({ type }) => type),
			"from then on it knows them",
		).toEqual(["unsubscribe", "disconnect", "vacated"]);
	});

	it("an empty channel is told once for all subscribers of a moment, by whatever shards", async () => {
		const rings = new ManualRings();
		await rings.told();
		rings.stepMs = 500;
		rings.write(0, ["cache_empty", 1, "a"], ["cache_empty", 1, "b"]);
		expect(await rings.channels()).toEqual(["cache_empty a", "cache_empty b"]);
		rings.write(1, ["cache_empty", 1, "a"]);
		expect(await rings.channels()).toEqual([]);
		rings.write(1, ["cache_empty", 1, "a"]);
		expect(await rings.channels()).toEqual(["cache_empty a"]);
	});

	it("namespaces choose by channel, and each webhook has its own numbers", async () => {
		const rings = new ManualRings({ namespaces: ["chat", "game"] }, [
			{ name: "chat", namespaces: ["chat"], events: ["occupied", "connect"] },
			{ name: "rest", namespaces: ["game", "without_namespace"], events: ["occupied"] },
		]);
		rings.write(0, ["connect", 1, 1, "c", "", "websocket", "json"]);
		for (const channel of ["chat:1", "game:1", "plain"]) rings.write(0, ["subscribe", 1, 1, channel]);
		rings.look();
		expect(rings.of("chat")).toEqual(["1 start", "2 connect", "3 occupied chat:1"]);
		expect(rings.of("rest")).toEqual(["1 start", "2 occupied game:1", "3 occupied plain"]);
	});

	it("without a webhook it opens no ring; one that is added hears of what comes, one that is removed takes its queue along", async () => {
		const rings = new ManualRings({}, []);
		rings.webhooks.shardAdded(1);
		rings.webhooks.shardRemoved(1);
		expect(rings.opened).toBe(0);
		rings.use([{ name: "one" }]);
		rings.write(0, ["connect", 1, 1, "c", "", "websocket", "json"]);
		expect((await rings.told()).map(({ type }) => type)).toEqual(["start", "connect"]);
		rings.use([{ name: "one" }, { name: "two" }]);
		rings.write(0, ["disconnect", 1, 1, 1000]);
		rings.look();
		expect(rings.of("two")).toEqual(["1 start", "2 disconnect"]);
		rings.use([{ name: "one" }]);
		expect(rings.receivers.told.at(-1)).toBe('webhook "two" was removed; 2 waiting events are not sent');
		rings.use([]);
		expect([rings.opened, rings.webhooks.sizes]).toEqual([1, { clients: 0, channels: 0 }]);
	});

	it("a webhook that is added again does not tell what happened in between, and its events have other ids", async () => {
		const rings = new ManualRings();
		await rings.told();
		rings.use([]);
		rings.write(0, ["connect", 1, 1, "old", "", "websocket", "json"], ["subscribe", 1, 1, "news"]);
		rings.use([{ name: "main", batch_delay: 0 }]);
		rings.write(0, ["snapshot", 2, 0, true], ["snapshotEnd", 2], ["connect", 3, 2, "new", "", "websocket", "json"]);
		expect(await rings.told()).toEqual([{ type: "start" }, expect.objectContaining({ type: "connect", client: "new" })]);
		const ids = rings.receivers.requests.flatMap(({ body }) => body.events.map(({ id }) => id));
		expect(ids, "start and start, connect").toHaveLength(3);
		expect(new Set(ids).size, "ids that differ").toBe(3);
	});

	it("the ring of a shard that is removed is read to its end and then left alone, until it is added again", async () => {
		const rings = new ManualRings();
		rings.write(1, ["connect", 1, 1, "c1", "ann", "websocket", "json"]);
		rings.webhooks.shardRemoved(1);
		rings.write(1, ["connect", 2, 2, "c2", "bob", "websocket", "json"]);
		expect((await rings.told()).map(({ type, client }) => [type, client])).toEqual([
			["start", undefined],
			["connect", "c1"],
			["disconnect", "c1"],
		]);
		rings.webhooks.shardAdded(1);
		expect((await rings.told()).map(({ client }) => client)).toEqual(["c2"]);
	});

	it("a drain vacates what is empty, sends everything, and says what was not delivered when the time is over", async () => {
		const rings = new ManualRings({ webhookVacatedDelayMs: 60_000 });
		rings.write(0, ["connect", 1, 1, "c", "", "websocket", "json"], ["subscribe", 1, 1, "news"]);
		const drained = rings.webhooks.drain(5000);
		expect(rings.of("main")).toEqual([
			...["1 start", "2 connect", "3 subscribe news", "4 occupied news"],
			...["5 unsubscribe news", "6 disconnect", "7 vacated news"],
		]);
		await rings.receivers.accept();
		expect(await drained).toBe(0);
		const other = new ManualRings();
		other.write(0, ["connect", 1, 1, "c", "", "websocket", "json"]);
		expect(await other.webhooks.drain(60), "start, connect, disconnect").toBe(3);
		expect(other.receivers.stopped).toBe(1);
	});

	it("a ring that is damaged costs its own events only, and one line of the log", async () => {
		const rings = new ManualRings({}, [{ name: "main", batch_delay: 0 }], [0]);
		rings.write(1, ["connect", 1, 1, "c1", "ann", "websocket", "json"]);
		expect(await rings.told()).toEqual([
			{ type: "start" },
			{ type: "connect", client: "c1", user: "ann", transport: "websocket", protocol: "json" },
		]);
		rings.webhooks.shardDied(0);
		rings.look();
		expect(rings.receivers.told, "lines").toEqual(["webhooks cannot read the events of a shard"]);
		rings.stepMs = 60_000;
		rings.look();
		expect(rings.receivers.told, "lines a minute later").toHaveLength(2);
	});
});

import { type Config, defaultConfig } from "@shardcast/config";
import { type ClientRecord, EventReader, EventWriter, eventRingInMemory } from "@shardcast/webhooks";
import { describe, expect, it, vi } from "vitest";
import type { ClientSession } from "../../src/sessions/client-session.ts";
import { ClientEvents } from "../../src/webhooks/client-events.ts";
import { CentrifugeRig } from "../support/centrifuge-rig.ts";

const all = [{ name: "all", events: [], namespaces: [] }] as never as Config["webhooks"];
const connections = [{ name: "few", events: ["connect"], namespaces: [] }] as never as Config["webhooks"];

function rigWith(webhooks: Config["webhooks"], more: Partial<Config> = {}) {
	const rig = new CentrifugeRig({ webhooks, ...more });
	const reader = new EventReader(rig.eventRing);
	/** What has been written since, without times. */
	const told = (): unknown[][] => {
		const records: ClientRecord[] = [];
		while (reader.read(100, (record) => records.push(record)) > 0);
		return records.map(([kind, , ...rest]) => [kind, ...rest]);
	};
	/** Until the snapshot has ended. */
	const snapshot = async (): Promise<unknown[][]> => {
		const records: unknown[][] = [];
		for (const end = Date.now() + 10_000; records.at(-1)?.[0] !== "snapshotEnd"; ) {
			if (Date.now() > end) throw new Error(`no end of the snapshot among ${JSON.stringify(records.slice(-5))}`);
			await new Promise((resolve) => setTimeout(resolve, 5));
			records.push(...told());
		}
		return records;
	};
	return { rig, told, snapshot };
}

describe("events from a shard to the webhook collector", () => {
	it("a client that connects, subscribes, unsubscribes and leaves", () => {
		const { rig, told } = rigWith(all);
		const client = rig.open();
		expect(told(), "one that has not connected is nobody").toEqual([]);
		client.send({ connect: {}, id: 1 });
		client.send({ subscribe: { channel: "news" }, id: 2 });
		client.send({ subscribe: { channel: "chat" }, id: 3 });
		client.send({ unsubscribe: { channel: "news" }, id: 4 });
		client.session.endSubscription("chat", { code: 2500, reason: "insufficient state" });
		client.session.closed(1000);
		expect(told()).toEqual([
			["connect", 1, client.session.id, "", "websocket", "json"],
			["subscribe", 1, "news"],
			["subscribe", 1, "chat"],
			["unsubscribe", 1, "news", 0],
			["unsubscribe", 1, "chat", 2500],
			["disconnect", 1, 1000],
		]);
		rig.open().session.closed(1000);
		expect(told(), "one that never connected").toEqual([]);
	});

	it("nothing without a webhook, and no subscriptions when no webhook wants them", () => {
		const without = rigWith([]);
		without.rig.connected().send({ subscribe: { channel: "news" }, id: 2 });
		expect(without.told()).toEqual([]);
		const few = rigWith(connections);
		few.rig.connected().send({ subscribe: { channel: "news" }, id: 2 });
		expect(few.told().map(([kind]) => kind)).toEqual(["connect"]);
	});

	it("a channel with history and without a publication is empty; others are not", () => {
		const history = { historySize: 10, historyTtlMs: 60_000 };
		const { rig, told } = rigWith(all);
		const plain = rig.config.channelWithoutNamespace;
		rig.reload({ channelWithoutNamespace: { ...plain, ...history } });
		const client = rig.connected();
		told();
		client.send({ subscribe: { channel: "news" }, id: 2 });
		expect(told()).toEqual([
			["subscribe", 1, "news"],
			["cache_empty", "news"],
		]);
		rig.reload({ channelWithoutNamespace: plain });
		client.send({ subscribe: { channel: "none" }, id: 3 });
		expect(told(), "a channel without history").toEqual([["subscribe", 1, "none"]]);
	});

	it("when webhooks are enabled: a snapshot without events, then events again", async () => {
		const { rig, told, snapshot } = rigWith([]);
		const client = rig.connected();
		client.send({ subscribe: { channel: "news" }, id: 2 });
		rig.open();
		rig.reload({ webhooks: all });
		client.send({ subscribe: { channel: "late" }, id: 3 });
		const own = [1, client.session.id, "", "websocket", "json"];
		expect(await snapshot()).toEqual([
			["snapshot", 1, true],
			["client", ...own],
			["channel", 1, "news"],
			["channel", 1, "late"],
			["clientEnd", 1],
			["snapshotEnd"],
		]);
		client.send({ subscribe: { channel: "news2" }, id: 4 });
		expect(told()).toEqual([["subscribe", 1, "news2"]]);
		rig.reload({ webhooks: [] });
		client.send({ subscribe: { channel: "unheard" }, id: 5 });
		expect(told(), "switched off").toEqual([]);
	});

	it("a full ring delays nobody: a snapshot contains the rest, and how many events were lost", { tags: ["long"] }, async () => {
		const { rig, told, snapshot } = rigWith(all);
		const clients = [rig.connected(), rig.connected(), rig.connected()];
		const channel = (n: number) => `${"a-long-name-of-a-channel-".repeat(6)}${n}`;
		// The ring holds 16 KiB: fewer than 100 of them.
		for (let n = 0; n < 100; n++) clients[n % 2]!.send({ subscribe: { channel: channel(n) }, id: n + 10 });
		clients[1]!.session.closed(1000);
		const before = told();
		const written = before.filter(([kind]) => kind === "subscribe").length;
		expect(written).toBeLessThan(100);
		const after = await snapshot();
		expect(after[0], "100 - written subscriptions, and a disconnect").toEqual(["snapshot", 101 - written, false]);
		expect(
			after.filter(([kind]) => kind === "client").map(([, key]) => key),
			"those that are still there",
		).toEqual([1, 3]);
		expect(after.filter(([kind]) => kind === "channel").map(([, , name]) => name)).toEqual(
			Array.from({ length: 50 }, (_, n) => channel(2 * n)),
		);
		clients[2]!.session.closed(1000);
		expect(told(), "events again").toEqual([["disconnect", 3, 1000]]);
	});

	it("a client with more channels than fit into the ring is sent in parts, and changes in the meantime are not lost", {
		tags: ["long"],
	}, async () => {
		const { rig, told, snapshot } = rigWith([]);
		const [changes, leaves] = [rig.connected(), rig.connected()];
		const channel = (n: number) => `${"a-long-name-of-a-channel-".repeat(6)}${n}`;
		for (const client of [changes, leaves]) for (let n = 0; n < 120; n++) client.send({ subscribe: { channel: channel(n) }, id: n + 10 });
		rig.reload({ webhooks: all });
		const first: unknown[][] = [];
		for (const end = Date.now() + 10_000; first.length < 20 && Date.now() < end; ) {
			await new Promise((resolve) => setTimeout(resolve, 1));
			first.push(...told());
		}
		expect(first.at(-1)![0], "a part of the first client").toBe("channel");
		changes.send({ unsubscribe: { channel: channel(0) }, id: 500 });
		const second: unknown[][] = [];
		const leftAfter = () => second.findIndex(([kind, key]) => kind === "client" && key === 2);
		for (const end = Date.now() + 10_000; leftAfter() < 0 && Date.now() < end; ) {
			await new Promise((resolve) => setTimeout(resolve, 1));
			second.push(...told());
		}
		leaves.session.closed(1000);
		const records = [...first, ...second, ...(await snapshot())];
		const ends = records.flatMap(([kind, key], index) => (kind === "clientEnd" && key === 1 ? [index] : []));
		expect(ends, "it is told twice").toHaveLength(2);
		const channels = records.slice(ends[0], ends[1]).filter(([kind, key]) => kind === "channel" && key === 1);
		expect(channels, "all but the one that it has left").toHaveLength(119);
		expect(
			records.filter(([, key]) => key === 2).map(([kind]) => kind),
			"the half that was told is taken back",
		).toEqual(expect.arrayContaining(["client", "disconnect"]));
	});

	it("a client that changes while it is sent is sent again before the snapshot ends, even when it is the last one", {
		tags: ["long"],
	}, async () => {
		const { rig, told, snapshot } = rigWith([]);
		const [changes] = [rig.connected(), rig.connected()];
		for (let n = 0; n < 120; n++) changes.send({ subscribe: { channel: `${"a-long-name-of-a-channel-".repeat(6)}${n}` }, id: n + 10 });
		rig.reload({ webhooks: all });
		const first: unknown[][] = [];
		for (const end = Date.now() + 10_000; first.length < 20 && Date.now() < end; ) {
			await new Promise((resolve) => setTimeout(resolve, 1));
			first.push(...told());
		}
		changes.send({ subscribe: { channel: "late" }, id: 500 });
		const records = [...first, ...(await snapshot())];
		expect(records).toContainEqual(["channel", 1, "late"]);
		expect(records.filter(([kind]) => kind === "client").map(([, key]) => key)).toEqual([1, 2, 1]);
	});

	it("an event that is longer than a record is counted, and so is all else of a client that nobody could be told of; the log says so once", () => {
		// A record has at most an eighth of it.
		const ring = eventRingInMemory(2048);
		const counters = { tooLong: 0, add: (_name: string, count: number) => (counters.tooLong += count) };
		const lines: unknown[] = [];
		const config = defaultConfig({ webhooks: all });
		const log = { error: (...line: unknown[]) => lines.push(line) };
		const events = new ClientEvents({ config, open: () => new EventWriter(ring), counters, log: log as never, now: () => 7 }, () => []);
		events.start();
		const session = (user: string) =>
			({ describe: () => ({ client: "c", user, transport: "websocket", protocol: "json" }), channels: [] }) as never as ClientSession;
		const [long, short] = [session("x".repeat(250)), session("ann")];
		events.connected(long);
		events.subscribed(long, "news");
		events.closed(long, 1000);
		expect(counters.tooLong, "connect, subscribe and disconnect").toBe(3);
		events.connected(short);
		events.subscribed(short, "y".repeat(250));
		events.closed(short, 1000);
		expect(counters.tooLong, "a channel with a long name").toBe(4);
		expect(lines, "lines in the log").toHaveLength(1);
		const told: ClientRecord[] = [];
		new EventReader(ring).read(100, (record) => told.push(record));
		expect(told).toEqual([
			["connect", 7, 2, "c", "ann", "websocket", "json"],
			["disconnect", 7, 2, 1000],
		]);
	});

	it("a client that is too long for a record does not hold up a snapshot", async () => {
		const ring = eventRingInMemory(2048);
		const counters = { tooLong: 0, add: (_name: string, count: number) => (counters.tooLong += count) };
		const session = (user: string) =>
			({ describe: () => ({ client: "c", user, transport: "websocket", protocol: "json" }), channels: ["news"] }) as never as ClientSession;
		const clients = [session("x".repeat(250)), session("ann")];
		const parts = { open: () => new EventWriter(ring), counters, log: { error: () => {} } as never, now: () => 7 };
		const events = new ClientEvents({ ...parts, config: defaultConfig() }, () => clients);
		events.reload(defaultConfig({ webhooks: all }))();
		const reader = new EventReader(ring);
		const told: ClientRecord[] = [];
		await vi.waitFor(() => {
			reader.read(100, (record) => told.push(record));
			expect(told.at(-1)?.[0], "the end of the snapshot").toBe("snapshotEnd");
		});
		expect(told.map(([kind]) => kind)).toEqual(["snapshot", "client", "channel", "clientEnd", "snapshotEnd"]);
		events.closed(clients[0]!, 1000);
		expect(counters.tooLong, "the client, and its end").toBe(2);
	});
});

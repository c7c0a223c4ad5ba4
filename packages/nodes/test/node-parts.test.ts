import { describe, expect, it } from "vitest";
import { LoadMeter } from "../src/load-meter.ts";
import { memoryInUse } from "../src/machine-memory.ts";
import { nodeKeys } from "../src/node-keys.ts";
import { type NodeRecord, parseNodeRecord, publicNode } from "../src/node-record.ts";
import { announcementMs, NodeView } from "../src/node-view.ts";
import { clientUrl, ownAddress } from "../src/own-address.ts";
import { totalsOf } from "../src/totals.ts";

const record = (id: string, changes: Partial<NodeRecord> = {}): NodeRecord => ({
	id,
	instance: `${id}-1`,
	address: "10.0.0.1:1",
	url: "ws://10.0.0.1:1",
	region: "",
	version: "1",
	status: "serving",
	health: "healthy",
	shards: 2,
	connections: 3,
	maxConnections: 10,
	weight: 1,
	messagesPerSecond: 1,
	bytesPerSecond: 1,
	deliveriesPerSecond: 1,
	cpu: 0,
	memory: 0,
	memoryBytes: 0,
	loopLagMs: 0,
	term: 1,
	heartbeatAt: 1,
	process: { boot: "b", pidNamespace: "p", pid: 1, startTicks: null },
	...changes,
});
const told = ({ joined, left, updated }: ReturnType<NodeView["update"]>) => [
	...joined.map(({ id }) => `+${id}`),
	...left.map(({ node, reason }) => `-${node.id} ${reason}`),
	...updated.map(({ id }) => `~${id}`),
];

/** A view with a clock that stands still. */
function viewAt() {
	const view = new NodeView();
	return {
		nowMs: 0,
		update(there: readonly NodeRecord[], mayBeLate: boolean) {
			return view.update(there, mayBeLate, this.nowMs);
		},
		onLeft: view.onLeft.bind(view),
		beginLook: view.beginLook.bind(view),
		get nodes() {
			return view.nodes;
		},
		get isUnexplained() {
			return view.isUnexplained;
		},
	};
}

describe("what is known of other machines", () => {
	it("is told as it differs from what was known: load is no difference, a new process is another machine", () => {
		const view = viewAt();
		expect(told(view.update([record("b"), record("a")], false))).toEqual(["+b", "+a"]);
		expect(view.nodes.map(({ id }) => id)).toEqual(["a", "b"]);
		expect(told(view.update([record("a", { connections: 9, cpu: 1 }), record("b", { status: "draining" })], false))).toEqual(["~b"]);
		expect(told(view.update([record("a", { memory: 0.5, weight: 2 }), record("b", { status: "draining", url: "" })], false))).toEqual([
			"~a",
			"~b",
		]);
		view.onLeft("b", "timeout");
		expect(told(view.update([record("a", { instance: "a-2" })], false))).toEqual(["+a", "-b timeout", "-a replaced"]);
	});

	it("health and shards of one that starts or drains are no news", () => {
		const view = viewAt();
		const starting = { status: "starting", health: "unhealthy", shards: 0, maxConnections: 0 } as const;
		view.update([record("a", starting)], false);
		expect(told(view.update([record("a", { ...starting, shards: 2, maxConnections: 10 })], false))).toEqual([]);
		expect(told(view.update([record("a")], false))).toEqual(["~a"]);
		expect(told(view.update([record("a", { health: "degraded" })], false))).toEqual(["~a"]);
		expect(told(view.update([record("a", { status: "draining" })], false))).toEqual(["~a"]);
		expect(told(view.update([record("a", { status: "draining", health: "unhealthy" })], false))).toEqual([]);
	});

	it("a machine that may be late has not left, unless its end was announced", () => {
		const view = viewAt();
		view.update([record("a"), record("b")], false);
		view.onLeft("b", "stopped");
		view.onLeft("unknown", "stopped");
		expect(told(view.update([], true))).toEqual(["-b stopped"]);
		view.onLeft("a", "timeout");
		expect(told(view.update([], false))).toEqual(["-a timeout"]);
	});

	it("one that is gone has timed out only if no announcement has come a moment later: it comes over another connection", () => {
		const view = viewAt();
		view.update([record("a"), record("b"), record("c")], false);
		expect(told(view.update([record("c")], false))).toEqual([]);
		expect([view.isUnexplained, view.nodes.map(({ id }) => id)]).toEqual([true, ["a", "b", "c"]]);
		view.onLeft("a", "stopped");
		expect(told(view.update([record("c")], false))).toEqual(["-a stopped"]);
		view.nowMs += announcementMs;
		expect(told(view.update([record("c")], false))).toEqual(["-b timeout"]);
		expect(view.isUnexplained).toBe(false);
		// The time counts again for one that was back meanwhile.
		view.update([], false);
		view.update([record("c")], false);
		view.nowMs += announcementMs;
		expect(told(view.update([], false))).toEqual([]);
	});

	it("an announced end does not count for one that is there again", () => {
		const view = viewAt();
		view.update([record("a")], false);
		view.onLeft("a", "timeout");
		view.beginLook();
		expect(told(view.update([record("a")], false))).toEqual([]);
		expect(told(view.update([], true))).toEqual([]);
	});

	it("an end that is announced while the machines are read is checked by the next look, with its reason", () => {
		const view = viewAt();
		view.update([record("a")], false);
		view.beginLook();
		view.onLeft("a", "stopped");
		expect(told(view.update([record("a")], false))).toEqual([]);
		view.beginLook();
		expect(told(view.update([], true))).toEqual(["-a stopped"]);
	});
});

describe("an entry", () => {
	it("is read as it was written, and shown without what others need not know", () => {
		expect(parseNodeRecord(JSON.stringify(record("a")))).toEqual(record("a"));
		expect(Object.keys(publicNode(record("a")))).not.toEqual(expect.arrayContaining(["instance"]));
		expect(Object.keys(publicNode(record("a")))).not.toEqual(expect.arrayContaining(["process"]));
	});

	it("of a version that does not write what selecting needs is read, too", () => {
		const { url: _, weight: __, memory: ___, ...older } = record("a");
		expect(parseNodeRecord(JSON.stringify(older))).toEqual(record("a", { url: "", weight: 1, memory: 0 }));
		for (const [written, weight] of [
			[0, 1],
			[1000, 1000],
			[1e300, 1000],
		])
			expect(parseNodeRecord(JSON.stringify(record("a", { weight: written })))?.weight, `the weight ${written}`).toBe(weight);
	});

	it.each(["https://elsewhere.example", "javascript:alert(1)", "ws://user:password@x", "ws://x/path", "x", "ws://x?a", "ws://"])(
		"sends clients to no address but that of a WebSocket server: %s",
		(url) => {
			expect(parseNodeRecord(JSON.stringify({ ...record("a"), url }))).toMatchObject({ id: "a", url: "" });
		},
	);

	it.each([
		null,
		"",
		"{",
		"[]",
		JSON.stringify({ ...record("a"), id: 7 }),
		JSON.stringify({ ...record("a"), status: "x" }),
		JSON.stringify({ ...record("a"), connections: -1 }),
		JSON.stringify({ ...record("a"), region: "x".repeat(300) }),
		JSON.stringify({ ...record("a"), more: "x".repeat(20_000) }),
	])("that is no entry is none: %#", (json) => {
		expect(parseNodeRecord(json)).toBeNull();
	});
});

it("keys have a hash tag in a Redis Cluster only", () => {
	expect(nodeKeys("ws", false).node("n1")).toBe("ws:cluster:node:n1");
	expect(nodeKeys("ws", true).events).toBe("{ws:cluster}:events");
});

it("totals count all machines, and those that are healthy", () => {
	const nodes = [record("a"), record("b", { health: "degraded", connections: 4 })].map(publicNode);
	expect(totalsOf(nodes)).toEqual({
		nodes: 2,
		healthyNodes: 1,
		connections: 7,
		maxConnections: 20,
		messagesPerSecond: 2,
		bytesPerSecond: 2,
	});
});

it("the own address is where it listens, or the first network address when that is everywhere", () => {
	const interfaces = {
		lo: [{ address: "127.0.0.1", family: "IPv4", internal: true }],
		eth0: [
			{ address: "fe80::1", family: "IPv6", internal: false, scopeid: 2 },
			{ address: "fd00::7", family: "IPv6", internal: false, scopeid: 0 },
			{ address: "10.0.0.7", family: "IPv4", internal: false },
		],
	} as unknown as Parameters<typeof ownAddress>[1];
	expect(ownAddress({ host: "10.1.1.1", port: 3005 }, interfaces)).toBe("10.1.1.1:3005");
	expect(ownAddress({ port: 3005 }, interfaces)).toBe("10.0.0.7:3005");
	expect(ownAddress({ host: "::", port: 3005 }, { eth0: interfaces!.eth0!.slice(0, 2) })).toBe("[fd00::7]:3005");
	expect(ownAddress({ host: "0.0.0.0", port: 1 }, {})).toBe("127.0.0.1:1");
});

it("the URL for clients is what was given for them; an address that was only found is none", () => {
	const given = (changes: Partial<Parameters<typeof clientUrl>[0]>, host?: string) =>
		clientUrl({ nodeUrl: "", nodeAddress: "", tlsEnabled: false, tlsCert: "", ...changes }, { ...(host && { host }), port: 3005 });
	expect(given({})).toBe("");
	expect(given({}, "0.0.0.0")).toBe("");
	expect(given({}, "::")).toBe("");
	expect(given({}, "10.1.1.1")).toBe("ws://10.1.1.1:3005");
	expect(given({}, "fd00::7")).toBe("ws://[fd00::7]:3005");
	expect(given({ nodeAddress: "n1.example.com:443", tlsEnabled: true })).toBe("wss://n1.example.com:443");
	expect(given({ nodeAddress: "10.0.0.7:1", nodeUrl: "wss://n1.example.com/" }, "10.1.1.1")).toBe("wss://n1.example.com");
});

it("memory in use is that of the machine, or of the processes in the limit of their container", () => {
	const machine = { totalBytes: 1000, availableBytes: 600, limitBytes: 0 };
	expect(memoryInUse(100, machine)).toBe(0.4);
	expect(memoryInUse(100, { ...machine, limitBytes: 200 })).toBe(0.5);
	expect(memoryInUse(300, { ...machine, limitBytes: 200 })).toBe(1);
	expect(memoryInUse(100, { ...machine, limitBytes: 2 ** 64 }), "no limit").toBe(0.4);
	expect(memoryInUse(0, { totalBytes: 0, availableBytes: 0, limitBytes: 0 })).toBe(0);
	expect(memoryInUse(0)).toBeGreaterThan(0);
	expect(memoryInUse(0)).toBeLessThan(1);
});

it("load is a rate between two readings, and no rate is negative when a shard begins again", () => {
	const meter = new LoadMeter();
	const reading = (nowMs: number, messagesIn: number, cpuMs: number) =>
		({
			nowMs,
			balancer: null,
			shards: [
				{ connections: 5, counters: { messagesIn, bytesIn: 10 * messagesIn, deliveries: 0, cpuMs, residentBytes: 7, loopLagP99Ms: 1.5 } },
				{ connections: 6, counters: { messagesIn: 0, bytesIn: 0, deliveries: 0, cpuMs: 0, residentBytes: 8, loopLagP99Ms: 4 } },
			],
		}) as unknown as Parameters<LoadMeter["read"]>[0];
	expect(meter.read(reading(1000, 50, 100))).toMatchObject({
		connections: 11,
		messagesPerSecond: 0,
		cpu: 0,
		memoryBytes: 15,
		loopLagMs: 4,
	});
	expect(meter.read(reading(3000, 70, 2100))).toMatchObject({ messagesPerSecond: 10, bytesPerSecond: 100, cpu: 0.5 });
	// Heartbeats soon after one another: a step of the counters is no rate.
	expect(meter.read(reading(3020, 90, 2300))).toMatchObject({ connections: 11, messagesPerSecond: 10, cpu: 0.5 });
	expect(meter.read(reading(3040, 90, 2300))).toMatchObject({ messagesPerSecond: 10, bytesPerSecond: 100, cpu: 0.5 });
	expect(meter.read(reading(4000, 0, 0))).toMatchObject({ messagesPerSecond: 0, cpu: 0 });
});

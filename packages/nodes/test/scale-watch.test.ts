import type { ClusterNode } from "@shardcast/control";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ScaleEvents } from "../src/scale/scale-events.ts";
import { loadOf, type ScaleRules, ScaleWatch } from "../src/scale/scale-watch.ts";

const rules: ScaleRules = { upAt: 0.8, downAt: 0.3, minNodes: 2, maxNodes: 20, holdMs: 30_000 };
type Changes = Partial<Pick<ClusterNode, "status" | "health" | "connections" | "maxConnections">>;
const node = (connections: number, changes: Changes = {}) =>
	({ status: "serving", health: "healthy", connections, maxConnections: 100, ...changes }) as ClusterNode;
const nodes = (count: number, load: number, ...more: readonly ClusterNode[]) => [
	...Array.from({ length: count }, () => node(load * 100)),
	...more,
];

/** What is found, by the second, while the load of these nodes is looked at every five seconds. */
function watched(look: (second: number) => readonly ClusterNode[], seconds: number, changes: Partial<ScaleRules> = {}) {
	const watch = new ScaleWatch({ ...rules, ...changes });
	const found: string[] = [];
	for (let second = 0; second <= seconds; second += 5) {
		const result = watch.look(look(second), second * 1000);
		if (result !== null) found.push(`${second} ${result}`);
	}
	return found;
}

describe("whether the cluster should grow or shrink", () => {
	it("above the upper limit for the hold time it should grow, below the lower one shrink, and in between neither", () => {
		expect(watched(() => nodes(3, 0.81), 90)).toEqual(["30 scaleUp", "60 scaleUp", "90 scaleUp"]);
		expect(watched(() => nodes(3, 0.29), 60)).toEqual(["30 scaleDown", "60 scaleDown"]);
		for (const load of [0.3, 0.5, 0.8])
			expect(
				watched(() => nodes(3, load), 300),
				String(load),
			).toEqual([]);
		expect(watched(() => [], 300)).toEqual([]);
		expect(watched(() => [node(0, { maxConnections: 0 })], 300)).toEqual([]);
	});

	it("a short peak is not enough, and a load that changes around the limit does not start the hold time again", () => {
		expect(watched((second) => nodes(3, second < 25 ? 0.9 : 0.6), 300)).toEqual([]);
		expect(watched((second) => nodes(3, second % 10 === 0 ? 0.81 : 0.79), 30)).toEqual(["30 scaleUp"]);
		expect(watched((second) => nodes(3, second % 20 === 0 ? 0.9 : 0.7), 300)).toEqual([]);
		expect(
			watched((second) => nodes(3, second < 40 ? 0.9 : 0.5), 100),
			"it tells when it is over, once",
		).toEqual(["30 scaleUp", "40 calm"]);
	});

	it("also with limits near 0 or near each other, a side ends when the load is beyond the other limit", () => {
		for (const [upAt, downAt] of [
			[0.05, 0],
			[0.04, 0.02],
			[0.5, 0.48],
		] as const) {
			const [above, below] = [upAt + 0.01, downAt / 2];
			const change = (from: number, to: number) => (second: number) => nodes(3, second < 40 ? from : to);
			expect(watched(change(above, below), 45, { upAt, downAt }), `from ${above} to ${below}`).toEqual(["30 scaleUp", "40 calm"]);
			if (downAt > 0)
				expect(watched(change(below, above), 45, { upAt, downAt }), `from ${below} to ${above}`).toEqual(["30 scaleDown", "40 calm"]);
		}
	});

	it("the hold time begins again when the load was not known meanwhile", () => {
		const watch = new ScaleWatch(rules);
		expect(watch.look(nodes(3, 0.9), 0)).toBeNull();
		watch.interrupted();
		expect(watch.look(nodes(3, 0.9), 60_000), "cut off for a minute").toBeNull();
		expect(watch.look(nodes(3, 0.9), 89_999)).toBeNull();
		expect(watch.look(nodes(3, 0.9), 90_000)).toBe("scaleUp");
		watch.interrupted();
		expect(watch.look(nodes(3, 0.5), 95_000), "what it has announced is over, nevertheless").toBe("calm");
	});

	it("never above the most nodes, never below the fewest", () => {
		expect(watched(() => nodes(20, 0.99), 300)).toEqual([]);
		expect(watched(() => nodes(19, 0.99), 30)).toEqual(["30 scaleUp"]);
		expect(watched(() => nodes(2, 0), 300)).toEqual([]);
		expect(watched(() => nodes(3, 0), 30)).toEqual(["30 scaleDown"]);
		expect(watched(() => nodes(1, 0), 300, { minNodes: 1 })).toEqual([]);
	});

	it("a node is not too many if the others would be near the upper limit without it", () => {
		expect(watched(() => nodes(3, 0.49), 60, { upAt: 0.75, downAt: 0.5 })).toEqual([]);
		expect(watched(() => nodes(3, 0.45), 30, { upAt: 0.75, downAt: 0.5 })).toEqual(["30 scaleDown"]);
	});

	it("while a node starts none is missing, while one drains none is too many, and neither counts", () => {
		expect(watched(() => nodes(3, 0.9, node(0, { status: "starting" })), 60)).toEqual([]);
		expect(watched(() => nodes(3, 0.1, node(0, { status: "draining" })), 60)).toEqual([]);
		expect(loadOf([...nodes(2, 0.5), node(90, { status: "draining" }), node(90, { health: "unhealthy" })])).toEqual({
			nodes: 2,
			connections: 100,
			maxConnections: 200,
			load: 0.5,
		});
	});

	it("no two of opposite kinds follow within a hold time, whatever the load does", () => {
		const change = fc.record({ count: fc.integer({ min: 1, max: 22 }), load: fc.double({ min: 0, max: 1, noNaN: true }) });
		fc.assert(
			fc.property(fc.array(change, { minLength: 20, maxLength: 60 }), (changes) => {
				const found = watched((second) => nodes(changes[second / 5]!.count, changes[second / 5]!.load), (changes.length - 1) * 5);
				const events = found.flatMap((line) => (line.endsWith("calm") ? [] : [Number(line.split(" ")[0])]));
				for (const [at, second] of events.entries()) if (at > 0) expect(second - events[at - 1]!).toBeGreaterThanOrEqual(30);
			}),
		);
	});
});

it("a node tells only what Redis has let it announce, and an answer that does not come is counted", async () => {
	const told: unknown[] = [];
	const sent: (readonly string[])[] = [];
	let answer: () => unknown = () => 0;
	let nowMs = 0;
	const events = new ScaleEvents({
		redis: {
			run: async (_script, keys, args) => {
				sent.push([...keys, ...args.map(String)]);
				return answer();
			},
		},
		keys: { scale: "scale", events: "events" },
		id: "n1",
		rules,
		onEvent: (event) => told.push(event),
		nowMs: () => nowMs,
	});
	const look = async (load: number) => {
		await events.look(nodes(3, load));
		nowMs += 30_000;
	};
	await look(0.9);
	expect(sent, "before the hold time").toEqual([]);
	await look(0.9);
	const json = JSON.stringify({ type: "scaleUp", node: "n1", nodes: 3, connections: 270, maxConnections: 300, load: 0.9 });
	expect(sent).toEqual([["scale", "scaleUp", "3", "30000", "events", json, "3600000"]]);
	expect(told, "another node has announced it").toEqual([]);
	answer = () => 5000;
	await look(0.9);
	expect(told).toEqual([{ type: "scaleUp", node: "n1", nodes: 3, connections: 270, maxConnections: 300, load: 0.9, at: 5000 }]);
	answer = () => {
		throw new Error("Redis is away");
	};
	await look(0.9);
	expect(events.counts).toEqual({ scaleUp: 1, scaleDown: 0, failed: 1 });
	answer = () => 6000;
	await look(0.5);
	expect([sent.at(-1)![1], told.length], "calm is no event").toEqual(["calm", 1]);
});

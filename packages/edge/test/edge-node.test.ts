import { NodeSelector } from "@shardcast/selection";
import { describe, expect, it } from "vitest";
import { EdgeNode } from "../src/nodes/edge-node.ts";
import type { NodeHealth } from "../src/nodes/node-check.ts";
import type { KnownNode } from "../src/nodes/node-source.ts";

const told = {
	status: "serving",
	health: "healthy",
	connections: 7,
	maxConnections: 10,
	cpu: 0.5,
	memory: 0.6,
	loopLagMs: 3,
	heartbeatAt: 1000,
} as const;
const known = (changes: Partial<NonNullable<KnownNode["told"]>> = {}): KnownNode => ({
	...{ id: "a", host: "10.0.0.7", port: 3005, region: "", weight: 1 },
	told: { ...told, ...changes },
});
const healthy: NodeHealth = { isServing: true, isDraining: false, connections: 2, maxConnections: 20, tookMs: 5 };

describe("a node of an edge", () => {
	it("that has left takes no client, not even what it has not answered and what is given to another one", () => {
		const node = new EdgeNode(known(), { toldForMs: 0, missesMax: 2 });
		node.onHealth(healthy);
		expect(node.mayTake(Number.MAX_SAFE_INTEGER)).toBe(true);
		node.onLeft();
		expect(node.mayTake(Number.MAX_SAFE_INTEGER)).toBe(false);
	});

	it("that did not answer a connection gets the next ones after a second, or when a check has reached it", () => {
		const node = new EdgeNode(known(), { toldForMs: 0, missesMax: 2 });
		node.onHealth(healthy);
		node.onFailed("unreached", 5000);
		expect([node.mayTake(5999), node.mayTake(6000)]).toEqual([false, true]);
		node.onHealth(healthy);
		expect(node.mayTake(5001)).toBe(true);
	});

	it("that broke a connection is left alone for a second, although it says that it is well", () => {
		const node = new EdgeNode(known(), { toldForMs: 0, missesMax: 2 });
		node.onHealth(healthy);
		node.onFailed("broken", 5000);
		node.onHealth(healthy);
		expect([node.mayTake(5999), node.mayTake(6000)]).toEqual([false, true]);
	});

	it.each([
		["full", { connections: 10 }],
		["starting", { status: "starting" }],
		["draining", { status: "draining" }],
		["unhealthy", { health: "unhealthy" }],
	] as const)(
		"that was %s when Redis last told about it gets clients again by its own report, once that is older than the node timeout",
		(_, changes) => {
			let nowMs = 0;
			const node = new EdgeNode(known(changes), { toldForMs: 15_000, missesMax: 2, nowMs: () => nowMs });
			node.onHealth(healthy);
			const select = () =>
				new NodeSelector().select(
					{ id: "", state: "member", nodes: [node.selectable] },
					{ strategy: "adaptive", region: "any", needsUrl: false },
					{ address: "", user: "", region: "", avoid: [] },
				).edgeNode;
			nowMs = 14_999;
			expect(select).toThrow("no node can take a client now");
			nowMs = 15_000;
			expect(select()).toBe(node);
			expect(node.selectable).toMatchObject({ connections: 2, maxConnections: 20, cpu: 0, loopLagMs: 5 });
			node.known = known(changes);
			expect(select, "Redis is back").toThrow("no node can take a client now");
		},
	);

	it("counts clients since the last figures, wherever these come from", () => {
		let nowMs = 0;
		const node = new EdgeNode(known(), { toldForMs: 100, missesMax: 2, nowMs: () => nowMs });
		node.onHealth(healthy);
		const at = () => node.selectable.heartbeatAt;
		const first = at();
		node.onHealth(healthy);
		expect(at(), "not while its heartbeats are told").toBe(first);
		node.known = known();
		expect(at(), "nor by the same heartbeat").toBe(first);
		// Its clock was set back.
		node.known = known({ heartbeatAt: 10 });
		expect(at()).toBeGreaterThan(first);
		const second = at();
		nowMs = 100;
		node.onHealth(healthy);
		expect(at()).toBeGreaterThan(second);
	});
});

import fc from "fast-check";
import type { SelectableNode } from "../src/index.ts";

/** A sequence of numbers from 0 to below 1 that is the same in each run. */
export function sequence(seed = 1): () => number {
	let state = seed;
	return () => {
		state = (state + 0x6d2b79f5) | 0;
		let hash = Math.imul(state ^ (state >>> 15), state | 1);
		hash = (hash + Math.imul(hash ^ (hash >>> 7), hash | 61)) ^ hash;
		return ((hash ^ (hash >>> 14)) >>> 0) / 2 ** 32;
	};
}

export function node(id: string, changes: Partial<SelectableNode> = {}): SelectableNode {
	const load = { connections: 0, maxConnections: 100_000, cpu: 0, memory: 0, loopLagMs: 0, heartbeatAt: 1 };
	return { id, weight: 1, url: `ws://${id}`, region: "", status: "serving", health: "healthy", ...load, ...changes };
}

export const nodes = (count: number, changes: Partial<SelectableNode> = {}) =>
	Array.from({ length: count }, (_, at) => node(`n${at}`, changes));

/** Nodes in any state, with different ids. */
export const anyNodes: fc.Arbitrary<SelectableNode[]> = fc.uniqueArray(
	fc.record({
		id: fc.stringMatching(/^[a-z]{1,3}$/),
		weight: fc.integer({ min: 1, max: 9 }),
		url: fc.constantFrom("", "ws://somewhere"),
		region: fc.constantFrom("", "eu", "us"),
		status: fc.constantFrom("serving", "serving", "draining", "starting"),
		health: fc.constantFrom("healthy", "degraded", "unhealthy"),
		connections: fc.integer({ min: 0, max: 6 }),
		maxConnections: fc.integer({ min: 0, max: 8 }),
		cpu: fc.constantFrom(0, 0.5, 0.9, 1.1),
		memory: fc.constantFrom(0, 0.5, 0.9),
		loopLagMs: fc.constantFrom(0, 20, 500),
		heartbeatAt: fc.integer({ min: 0, max: 3 }),
	} satisfies { [Key in keyof SelectableNode]: fc.Arbitrary<SelectableNode[Key]> }),
	{ selector: ({ id }) => id, maxLength: 6 },
);

/** How often each id comes. */
export function tally(ids: Iterable<string>): Record<string, number> {
	const counts: Record<string, number> = {};
	for (const id of ids) counts[id] = (counts[id] ?? 0) + 1;
	return counts;
}

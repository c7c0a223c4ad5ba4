import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { NodeSelector, NoNode, type SelectableNode, type SelectionRequest, type SelectionRules } from "../src/index.ts";
import { strategyNames } from "../src/strategy.ts";
import { anyNodes, node, nodes, sequence, tally } from "./support.ts";

const anybody: SelectionRequest = { address: "10.0.0.1", user: "", region: "", avoid: [] };
const fewest: SelectionRules = { strategy: "least_connections", region: "own", needsUrl: false };
const member = (all: readonly SelectableNode[], id = "n0") => ({ id, state: "member", nodes: all });
const problem = (act: () => unknown): string => {
	try {
		act();
	} catch (error) {
		if (error instanceof NoNode) return error.message;
		throw error;
	}
	return "a node was selected";
};

describe("selecting a node", () => {
	it.each(strategyNames)("never one that is full, draining, starting, unhealthy, or without a needed URL: %s", (strategy) => {
		fc.assert(
			fc.property(anyNodes, fc.boolean(), fc.integer(), (all, needsUrl, seed) => {
				const selector = new NodeSelector({ random: sequence(seed), nowMs: () => 0 });
				const room = new Map(all.map(({ id, maxConnections, connections }) => [id, maxConnections - connections]));
				const isFit = ({ id, status, health, url }: SelectableNode) =>
					status === "serving" && health !== "unhealthy" && room.get(id)! > 0 && (url !== "" || !needsUrl);
				for (let client = 0; client < 60 && all.some(isFit); client++) {
					const selected = selector.select(member(all), { strategy, region: "any", needsUrl }, { ...anybody, user: String(client) });
					expect(isFit(selected), `${JSON.stringify(selected)} for client ${client}`).toBe(true);
					room.set(selected.id, room.get(selected.id)! - 1);
				}
				// As the nodes report it.
				for (const { id, maxConnections, connections } of all) room.set(id, maxConnections - connections);
				if (!all.some(isFit)) expect(() => selector.select(member(all), { ...fewest, needsUrl }, anybody)).toThrow(NoNode);
			}),
		);
	});

	it("says why there is none", () => {
		const all = [
			node("a", { status: "draining" }),
			node("b", { connections: 5, maxConnections: 5 }),
			node("c", { connections: 9, maxConnections: 5 }),
			node("d", { health: "unhealthy" }),
			node("e", { url: "" }),
		];
		const selector = new NodeSelector();
		expect(problem(() => selector.select(member(all), { ...fewest, needsUrl: true }, anybody))).toBe(
			"no node can take a client now: 1 draining, 2 full, 1 unhealthy, 1 without a URL for clients (--node-url)",
		);
		expect(selector.select(member(all), fewest, anybody).id, "where no URL is needed").toBe("e");
		expect(problem(() => selector.select(member([]), fewest, anybody))).toBe("no node can take a client now: none is known");
	});

	it("one that has lost its connection to Redis comes last, even before those that the client avoids", () => {
		const selector = new NodeSelector();
		const all = [node("a", { away: true }), node("b", { connections: 50 }), node("c", { connections: 60 })];
		for (let client = 0; client < 5; client++) expect(selector.select(member(all), fewest, anybody).id).toBe("b");
		expect(selector.select(member(all), fewest, { ...anybody, avoid: ["b", "c"] }).id).toBe("b");
		// As after a restart of Redis, when all connect again.
		const none = all.map((each) => ({ ...each, away: true }));
		expect(selector.select(member(none), fewest, anybody).id).toBe("a");
	});

	it.each(["joining", "cutOff", "taken"])("one that is no member knows only itself: %s", (state) => {
		const selector = new NodeSelector();
		for (let client = 0; client < 20; client++)
			expect(selector.select({ id: "n1", state, nodes: nodes(3) }, fewest, anybody).id).toBe("n1");
		const draining = nodes(3).map((each) => (each.id === "n1" ? { ...each, status: "draining" as const } : each));
		expect(problem(() => selector.select({ id: "n1", state, nodes: draining }, fewest, anybody))).toBe(
			"no node can take a client now: 2 cut off, 1 draining",
		);
	});

	it("counts those it has sent until the node's next heartbeat, so a burst spreads", () => {
		const selector = new NodeSelector({ random: sequence() });
		const select = (all: readonly SelectableNode[]) => selector.select(member(all), fewest, anybody).id;
		const all = nodes(3);
		expect(tally(Array.from({ length: 30 }, () => select(all)))).toEqual({ n0: 10, n1: 10, n2: 10 });
		// n0 has counted 4 of its 10; the others have not reported yet.
		const reported = [node("n0", { connections: 4, heartbeatAt: 2 }), ...all.slice(1)];
		expect(tally(Array.from({ length: 6 }, () => select(reported)))).toEqual({ n0: 6 });
		// Older figures, from somebody who has not heard of the heartbeat, do not make it forget anything.
		expect(tally(Array.from({ length: 4 }, () => select(all)))).toEqual({ n0: 4 });
	});

	it("fills a node up to its limit before it sends more than it can take", () => {
		const selector = new NodeSelector({ random: sequence() });
		const two = [node("n0", { maxConnections: 3, connections: 1 }), node("n1", { maxConnections: 90, connections: 50 })];
		const some = (count: number) => tally(Array.from({ length: count }, () => selector.select(member(two), fewest, anybody).id));
		expect(some(42)).toEqual({ n0: 2, n1: 40 });
	});

	it("whoever asks for nodes again and again, and never connects, cannot make them look full to others", () => {
		const selector = new NodeSelector();
		const two = [node("n0", { maxConnections: 3 }), node("n1", { maxConnections: 3 })];
		for (let client = 0; client < 1000; client++) selector.select(member(two), fewest, anybody);
		expect(["n0", "n1"]).toContain(selector.select(member(two), fewest, anybody).id);
		const full = two.map((each) => ({ ...each, connections: 3 }));
		expect(problem(() => selector.select(member(full), fewest, anybody))).toBe("no node can take a client now: 2 full");
	});

	it("a client that has ended counts no more, once", () => {
		const selector = new NodeSelector({ random: sequence() });
		const two = [node("n0", { connections: 10 }), node("n1", { connections: 11 })];
		const select = (all = two) => selector.selectAmong(member(all), fewest, anybody);
		const first = select();
		const second = select();
		const third = select();
		expect([first, second, third].map(({ node: { id } }) => id).sort()).toEqual(["n0", "n0", "n1"]);
		for (const each of [first, second, third, first, second]) each.end();
		expect(select().node.id).toBe("n0");
		// After the node's next heartbeat, its figure is right about a client that ended before: nothing is subtracted.
		const later = two.map((each) => ({ ...each, heartbeatAt: 2 }));
		const old = select();
		for (let count = 0; count < 3; count++) select(later);
		old.end();
		expect(tally(Array.from({ length: 4 }, () => select(later).node.id))).toEqual({ n0: 2, n1: 2 });
	});

	it("forgets clients that have not come after a minute, and nodes that are gone", () => {
		let nowMs = 0;
		const selector = new NodeSelector({ nowMs: () => nowMs });
		const two = [node("n0"), node("n1", { connections: 5 })];
		const select = () => selector.select(member(two), fewest, anybody).id;
		expect(tally(Array.from({ length: 5 }, select))).toEqual({ n0: 5 });
		nowMs = 59_999;
		expect(tally(Array.from({ length: 2 }, select))).toEqual({ n0: 1, n1: 1 });
		nowMs = 60_000;
		expect(tally(Array.from({ length: 4 }, select))).toEqual({ n0: 4 });
		for (let client = 0; client < 20; client++) selector.select(member([two[0]!]), fewest, anybody);
		for (let client = 0; client < 2; client++) selector.select(member([two[1]!]), fewest, anybody);
		expect(select(), "it joins again").toBe("n0");
	});

	it("the region that the client names comes first, then that of the node that selects, unless the rules say otherwise", () => {
		const selector = new NodeSelector({ random: sequence() });
		const all = [
			node("n0", { region: "eu" }),
			node("n1", { region: "eu", connections: 50 }),
			node("n2", { region: "us", connections: 50 }),
		];
		const select = (id: string, region: string, rules: SelectionRules = fewest) =>
			selector.select(member(all, id), rules, { ...anybody, region }).id;
		expect(select("n2", "")).toBe("n2");
		expect(select("n2", "eu")).toBe("n0");
		expect(select("n0", "us")).toBe("n2");
		expect(select("n2", "", { ...fewest, region: "any" })).toBe("n0");
		expect(select("n2", "asia"), "nobody is there, so any").toBe("n0");
		const full = all.map((each) => (each.region === "us" ? { ...each, maxConnections: 50, heartbeatAt: 9 } : each));
		expect(selector.select(member(full, "n2"), fewest, anybody).id, "all of its region are full").toBe("n0");
	});

	it("nodes that the client could not reach come last, even after other regions", () => {
		const selector = new NodeSelector({ random: sequence() });
		const all = [node("n0", { region: "eu" }), node("n1", { region: "us" })];
		const select = (...avoid: string[]) => selector.select(member(all), { ...fewest, strategy: "ip_hash" }, { ...anybody, avoid }).id;
		expect(select()).toBe("n0");
		expect(select("n0", "unknown")).toBe("n1");
		expect(select("n0", "n1"), "better than nothing").toBe("n0");
	});

	it("by user, the same user finds the same node from any address, and without a user the address counts", () => {
		const all = nodes(7);
		const by = (strategy: "ip_hash" | "user_hash", address: string, user: string) =>
			new NodeSelector().select(member(all), { ...fewest, strategy }, { ...anybody, address, user }).id;
		const users = Array.from({ length: 50 }, (_, at) => `user-${at}`);
		for (const user of users) expect(by("user_hash", "10.0.0.1", user)).toBe(by("user_hash", "10.9.9.9", user));
		expect(new Set(users.map((user) => by("user_hash", "10.0.0.1", user))).size).toBeGreaterThan(4);
		expect(new Set(users.map((user) => by("ip_hash", "10.0.0.1", user))).size).toBe(1);
		expect(by("user_hash", "10.0.0.1", "")).toBe(by("ip_hash", "10.0.0.1", ""));
	});

	it("another strategy is in force from the next client on", () => {
		const selector = new NodeSelector({ random: sequence() });
		const all = [node("n0", { connections: 100 }), node("n1")];
		const some = (strategy: SelectionRules["strategy"]) =>
			tally(Array.from({ length: 10 }, () => selector.select(member(all), { ...fewest, strategy }, anybody).id));
		expect(some("least_connections")).toEqual({ n1: 10 });
		expect(some("round_robin")).toEqual({ n0: 5, n1: 5 });
	});
});

import { optionOf } from "@shardcast/config";
import { balancerAffinities, balancerStrategies, type Scoreboard, ShardState } from "@shardcast/scoreboard";
import { strategyNames } from "@shardcast/selection";
import { stressed } from "@shardcast/testkit";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Picker, PickRules } from "../../src/pick/picker.ts";
import { boardOf, clock, machine, pickerOf, rules, sequence, slotOf, spread } from "../support/picker.ts";

const clients = Array.from({ length: 4000 }, (_, at) => ({ address: `10.0.${at >> 8}.${at & 255}`, user: "" }));
const users = Array.from({ length: 4000 }, (_, at) => ({ address: "", user: `user-${at}` }));
const roomy = (shards: number) => boardOf(Array.from({ length: shards }, () => 100_000));
const withRules = (board: Scoreboard, changes: Partial<PickRules>) => pickerOf(board, { rules: rules(changes), random: sequence() });

/** Where each of these goes, one after the other. */
const place = (picker: Picker, keys: readonly { address: string; user: string }[], isLasting = true) =>
	keys.map((key) => slotOf(picker.pick(isLasting, key)));

/** Where each of these goes when it comes alone: each has gone again before the next one comes. */
const placeAlone = (picker: Picker, keys: readonly { address: string; user: string }[]) =>
	keys.map((key) => {
		picker.look();
		return slotOf(picker.pick(true, key));
	});

/** A shard's figures, and a second until they are noticed. */
function load(board: Scoreboard, picker: Picker, slot: number, { cpu = 0, memory = 0, loopLagMs = 0 }): void {
	const row = board.row(slot);
	clock.nowMs += 1000;
	row.add("cpuMs", cpu * 1000);
	row.set("residentBytes", (memory * machine.memoryBytes) / board.rows().length);
	row.set("loopLagP99Ms", loopLagMs);
	for (const each of board.rows()) each.set("heartbeatMs", clock.nowMs);
	picker.look();
}

describe("strategies of the balancer", () => {
	it("are those of the option, of the scoreboard and of the selection of nodes", () => {
		expect(optionOf("lbStrategy").argument).toBe(`<${balancerStrategies.join("|")}>`);
		expect(optionOf("lbAffinity").argument).toBe(`<${balancerAffinities.join("|")}>`);
		expect(strategyNames).toEqual(expect.arrayContaining([...balancerStrategies]));
	});

	it.each(["least_connections", "round_robin", "ip_hash", "random", "adaptive"] as const)("%s spreads clients", (lbStrategy) => {
		const sent = spread(place(withRules(roomy(4), { lbStrategy }), clients), 4);
		const off = { least_connections: 0, round_robin: 0, random: 40, ip_hash: 150, adaptive: 150 }[lbStrategy];
		for (const count of sent) expect(Math.abs(count - 1000), `${sent}`).toBeLessThanOrEqual(off);
	});

	it.each(["least_connections", "weighted", "ip_hash", "random", "adaptive"] as const)("%s goes by the weights", (lbStrategy) => {
		const sent = spread(place(withRules(roomy(3), { lbStrategy, lbWeights: ["2", "1"] }), clients), 3);
		expect(sent[0] / 2000, `${sent}`).toBeCloseTo(1, 0);
		for (const [at, share] of [0.5, 0.25, 0.25].entries()) expect(Math.abs(sent[at] / 4000 - share), `${sent}`).toBeLessThan(0.04);
	});

	it("takes clients and other requests in separate turns", () => {
		const picker = withRules(roomy(2), { lbStrategy: "round_robin" });
		const [key] = clients;
		const sent = Array.from({ length: 100 }, () => {
			picker.pick(false, key);
			return slotOf(picker.pick(true, key));
		});
		expect(spread(sent, 2), "each client first asks for something and then connects").toEqual([50, 50]);
	});

	it("ip_hash: when a shard leaves only its clients move, and they come back with it", () => {
		const board = roomy(4);
		const picker = withRules(board, { lbStrategy: "ip_hash" });
		const some = clients.slice(0, 400);
		const before = placeAlone(picker, some);
		board.row(2).state = ShardState.draining;
		const without = placeAlone(picker, some);
		for (const [at, slot] of before.entries())
			if (slot === 2 ? without[at] === 2 : without[at] !== slot) expect.fail(`${some[at].address}: ${slot}, then ${without[at]}`);
		board.row(2).state = ShardState.serving;
		board.row(2).incarnation++;
		expect(placeAlone(picker, some)).toEqual(before);
	});

	it("adaptive avoids a shard above a threshold, and shows it, until it is below again", () => {
		for (const [figure, name] of [
			[{ cpu: 0.9 }, "CPU"],
			[{ memory: 0.9 }, "memory"],
			[{ loopLagMs: 150 }, "loop lag"],
		] as const) {
			const board = roomy(2);
			const picker = withRules(board, { lbStrategy: "adaptive" });
			load(board, picker, 0, figure);
			expect(spread(place(picker, clients.slice(0, 200)), 2), name).toEqual([0, 200]);
			expect(board.row(0).overloads).toEqual([name]);
			load(board, picker, 1, figure);
			if ("cpu" in figure) load(board, picker, 0, figure);
			if (!("cpu" in figure)) expect(slotOf(picker.pick(true, clients[0])), `${name}: where else?`).not.toBeNull();
			load(board, picker, 0, {});
			expect(board.row(0).overloads).toEqual([]);
			expect(spread(place(picker, clients.slice(0, 200)), 2)[0], name).toBeGreaterThan(50);
		}
	});

	it("no other strategy shows shards as overloaded", () => {
		const board = roomy(2);
		const picker = withRules(board, { lbStrategy: "adaptive" });
		load(board, picker, 0, { loopLagMs: 150 });
		picker.use(rules({ lbStrategy: "least_connections" }));
		picker.look();
		expect(board.row(0).overloads).toEqual([]);
		expect(spread(place(picker, clients.slice(0, 10)), 2)).toEqual([5, 5]);
	});

	it("lbStrategy, lbWeights and lbAffinity: others hold from the next connection on", () => {
		const board = roomy(2);
		const picker = withRules(board, { lbStrategy: "ip_hash" });
		const one = Array.from({ length: 12 }, () => clients[0]);
		expect(new Set(place(picker, one)).size).toBe(1);
		picker.use(rules({ lbStrategy: "weighted", lbWeights: ["3", "1"] }));
		picker.look();
		expect(spread(place(picker, one), 2)).toEqual([9, 3]);
		expect([board.row(0).weight, board.row(1).weight]).toEqual([3, 1]);
		picker.use(rules({ lbAffinity: "user" }));
		picker.look();
		expect(
			new Set(
				place(
					picker,
					Array.from({ length: 12 }, () => users[0]),
				),
			).size,
		).toBe(1);
	});
});

describe("affinity of the balancer", () => {
	const counted = (board: Scoreboard, changes: Partial<PickRules>) => {
		const counts = { affinityKept: 0, affinityMoved: 0, affinityUnknown: 0 };
		const count = (name: keyof typeof counts) => counts[name]++;
		const picker = pickerOf(board, { rules: rules(changes), random: sequence(), count });
		return { picker, counts };
	};

	it.each(balancerAffinities.filter((name) => name !== "none"))("by %s, the clients of an id stay together", (lbAffinity) => {
		const { picker, counts } = counted(roomy(4), { lbAffinity });
		const first = placeAlone(picker, users.slice(0, 1000));
		for (const count of spread(first, 4)) expect(count).toBeGreaterThan(200);
		expect(placeAlone(picker, users.slice(0, 1000))).toEqual(first);
		expect(counts).toEqual({ affinityKept: 2000, affinityMoved: 0, affinityUnknown: 0 });
	});

	it("without an id, the strategy places a client", () => {
		const { picker, counts } = counted(roomy(2), { lbAffinity: "user", lbStrategy: "round_robin" });
		expect(spread(place(picker, clients.slice(0, 10)), 2)).toEqual([5, 5]);
		expect(counts.affinityUnknown).toBe(10);
	});

	it.each([
		["full", (board: Scoreboard, slot: number) => Object.assign(board.row(slot), { connections: 100_000, webSockets: 100_000 })],
		["draining", (board: Scoreboard, slot: number) => Object.assign(board.row(slot), { state: ShardState.draining })],
		["down", (board: Scoreboard, slot: number) => Object.assign(board.row(slot), { state: ShardState.dead })],
		["silent", (board: Scoreboard, slot: number) => board.row(slot).set("heartbeatMs", clock.nowMs - 5000)],
	])("while the shard of an id is %s, all its clients go to one other shard, the others stay", (_, break_) => {
		const board = roomy(4);
		const { picker, counts } = counted(board, { lbAffinity: "user" });
		const some = users.slice(0, 40);
		const home = placeAlone(picker, some);
		break_(board, home[0]!);
		const [twice, again] = [placeAlone(picker, some), placeAlone(picker, some)];
		expect(again).toEqual(twice);
		expect(twice[0]).not.toBe(home[0]);
		const moved = home.filter((slot) => slot === home[0]).length;
		for (const [at, slot] of home.entries()) if (slot !== home[0]) expect(twice[at], `user ${at}`).toBe(slot);
		expect(counts.affinityMoved).toBe(2 * moved);
		expect(new Set(twice.filter((_, at) => home[at] === home[0])).size, "not all to the same one").toBeGreaterThan(1);
	});

	it("no choice of ids fills a shard beyond 1.25 times its share", () => {
		const { picker, counts } = counted(roomy(4), { lbAffinity: "user" });
		const sent = spread(
			place(
				picker,
				Array.from({ length: 2000 }, () => users[0]),
			),
			4,
		);
		expect(Math.max(...sent)).toBeLessThanOrEqual(625);
		expect(counts.affinityMoved).toBeGreaterThan(1300);
	});

	it("with adaptive, an id leaves its shard while that is overloaded and another is not", () => {
		const board = roomy(3);
		const { picker } = counted(board, { lbAffinity: "user", lbStrategy: "adaptive" });
		const [home] = place(picker, [users[0]]);
		load(board, picker, home!, { loopLagMs: 200 });
		expect(place(picker, [users[0]])).not.toEqual([home]);
		for (const slot of [0, 1, 2]) board.row(slot).set("loopLagP99Ms", 200);
		load(board, picker, home!, { loopLagMs: 200 });
		expect(place(picker, [users[0]]), "when all are, it stays").toEqual([home]);
	});
});

it("whatever the rules: only shards that can take the connection, and one whenever there is one", { tags: ["long"] }, () => {
	const shard = fc.record({
		state: fc.constantFrom(ShardState.serving, ShardState.serving, ShardState.draining, ShardState.dead, ShardState.starting),
		max: fc.integer({ min: 1, max: 5 }),
		open: fc.integer({ min: 0, max: 5 }),
		isSilent: fc.boolean(),
		loopLagMs: fc.constantFrom(0, 150),
	});
	const rule = fc.record({
		lbStrategy: fc.constantFrom(...balancerStrategies),
		lbAffinity: fc.constantFrom(...balancerAffinities),
		lbWeights: fc.array(fc.constantFrom("1", "2", "1000"), { maxLength: 3 }),
	});
	fc.assert(
		fc.property(fc.array(shard, { minLength: 1, maxLength: 5 }), rule, fc.integer(), fc.array(fc.string()), (shards, given, seed, ids) => {
			clock.nowMs += 10_000;
			const board = boardOf(shards.map(({ max }) => max));
			const left = shards.map(({ state, max, open, isSilent, loopLagMs }, slot) => {
				const row = board.row(slot);
				row.state = state;
				row.connections = open;
				row.webSockets = open;
				row.set("loopLagP99Ms", loopLagMs);
				if (isSilent) row.set("heartbeatMs", clock.nowMs - 5000);
				return state === ShardState.serving && !isSilent ? Math.max(0, max - open) : 0;
			});
			const picker = pickerOf(board, { rules: rules(given), random: sequence(seed) });
			const room = left.reduce((sum, each) => sum + each, 0);
			for (let at = 0; at <= room; at++) {
				const id = ids[at % Math.max(1, ids.length)] ?? "";
				const slot = slotOf(picker.pick(true, { address: id, user: at % 2 === 0 ? id : "" }));
				if (at === room) expect(slot).toBeNull();
				else if (slot === null || left[slot]-- <= 0) expect.fail(`connection ${at} got shard ${slot}; left: ${left}`);
			}
		}),
		{ numRuns: stressed(200) },
	);
});

import { EdgeNode } from "@shardcast/edge/nodes";
import { balancerStrategies, type Scoreboard, ShardState } from "@shardcast/scoreboard";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Candidate, measureProxy } from "../../src/pick/candidate.ts";
import type { Picker, PickRules } from "../../src/pick/picker.ts";
import { AllShards } from "../../src/remote/all-shards.ts";
import { RemoteRow } from "../../src/remote/remote-row.ts";
import { boardOf, clock, machine, pickerOf, rules, sequence } from "../support/picker.ts";

const clients = Array.from({ length: 4000 }, (_, at) => ({ address: `10.0.${at >> 8}.${at & 255}`, user: `user-${at}` }));
const healthy = { isServing: true, isDraining: false, connections: 0, maxConnections: 100_000, tookMs: 1 };

/** A remote shard that has answered; weight 0 = it gets no new clients. */
function remoteOf(number: number, weight = 1, health: Partial<typeof healthy> = {}): RemoteRow {
	const id = `10.0.0.${number}:3005`;
	const known = { id, host: `10.0.0.${number}`, port: 3005, region: "", weight, told: null };
	const node = new EdgeNode(known, { toldForMs: 0, missesMax: 2, nowMs: () => clock.nowMs });
	node.onHealth({ ...healthy, ...health });
	return new RemoteRow(64 + number, node);
}

interface Made {
	readonly board: Scoreboard;
	readonly picker: Picker;
	readonly remotes: readonly RemoteRow[];
	/** How many of so many new clients each gets: shards of this machine first. @param isLastHop another machine has passed them on. */
	sent(count?: number, isLastHop?: boolean): number[];
	look(): void;
}

function make(local: number, remotes: readonly RemoteRow[], changes: Partial<PickRules> = {}): Made {
	const board = boardOf(Array.from({ length: local }, () => 100_000));
	const table = new AllShards(board, { changes: 1, rows: remotes });
	const look = () => {
		for (const row of remotes) row.look(clock.nowMs);
		picker.look();
	};
	for (const row of remotes) row.look(clock.nowMs);
	const picker = pickerOf(table as unknown as Scoreboard, {
		measure: measureProxy,
		rules: rules(changes),
		random: sequence(),
		dialingMax: 4,
	});
	const open = (candidate: Candidate) => {
		candidate.own++;
		candidate.ownUpgrades++;
		candidate.row.proxiedOpen = candidate.own;
	};
	const sent = (count = 4000, isLastHop = false) => {
		const counts = Array.from({ length: local + remotes.length }, () => 0);
		for (const key of clients.slice(0, count)) {
			const candidate = picker.pick(true, key, isLastHop);
			if (candidate === null) continue;
			open(candidate);
			counts[candidate.row.remote === undefined ? candidate.row.slot : local + remotes.indexOf(candidate.row as RemoteRow)]++;
		}
		return counts;
	};
	return { board, picker, remotes, sent, look };
}

describe("remote shards among those of this machine", () => {
	it.each(["least_connections", "weighted", "ip_hash", "random", "adaptive"] as const)("%s goes by their weights", (lbStrategy) => {
		const { sent } = make(2, [remoteOf(0, 4), remoteOf(1, 2)], { lbStrategy });
		const counts = sent();
		for (const [at, share] of [1 / 8, 1 / 8, 1 / 2, 1 / 4].entries())
			expect(Math.abs(counts[at] / 4000 - share), `${counts}`).toBeLessThan(0.04);
	});

	it("round_robin gives each as much as a shard here", () => {
		expect(make(1, [remoteOf(0), remoteOf(1)], { lbStrategy: "round_robin" }).sent(300)).toEqual([100, 100, 100]);
	});

	it("connections that reach a remote shard another way count, too, and those of this balancer once", () => {
		const remote = remoteOf(0, 1, { connections: 100 });
		const { sent, look } = make(1, [remote]);
		expect(sent(100), "it has 100 already").toEqual([100, 0]);
		expect(sent(100)).toEqual([50, 50]);
		// It has noticed the 50, and 20 have come another way.
		remote.remote.onHealth({ ...healthy, connections: 170 });
		look();
		expect(sent(20)).toEqual([20, 0]);
		expect(sent(40), "now both have 170").toEqual([20, 20]);
	});

	it("none goes to one without weight, that drains, is full, does not answer, or is unknown", () => {
		const unknown = new RemoteRow(
			99,
			new EdgeNode({ id: "9", host: "9", port: 1, region: "", weight: 1, told: null }, { toldForMs: 0, missesMax: 2 }),
		);
		const silent = remoteOf(1);
		silent.remote.onMiss("did not answer");
		silent.remote.onMiss("did not answer");
		const refusing = remoteOf(2);
		refusing.remote.onFailed("unreached", clock.nowMs);
		const bad = [remoteOf(0, 0), silent, refusing, remoteOf(3, 1, { isDraining: true }), unknown, remoteOf(4, 1, { maxConnections: 0 })];
		expect(make(1, bad).sent(100)).toEqual([100, 0, 0, 0, 0, 0, 0]);
	});

	it("a connection that some could not take goes to a shard here, then to other remote ones, then to one here whose guards act", () => {
		const { board, picker, look } = make(2, [remoteOf(0), remoteOf(1)]);
		const [own, guarded, first, second] = picker.candidates;
		board.row(1).guards.write(clock.nowMs, new Map([["cpu" as const, { sinceMs: 1, value: 90, threshold: 75, times: 1 }]]));
		// A remote one would be chosen otherwise.
		board.row(0).connections = 10;
		board.row(0).webSockets = 10;
		const next = (...tried: readonly Candidate[]) => {
			look();
			return picker.pick(true, clients[0], false, tried);
		};
		expect(next(first!)).toBe(own);
		board.row(0).state = ShardState.dead;
		expect(next(first!)).toBe(second);
		expect(next(first!, second!)).toBe(guarded);
		board.row(1).state = ShardState.dead;
		expect(next(first!, second!)).toBeNull();
	});

	it("one that misses a check keeps its clients' share; after two it gets none, and after an answer its share again", () => {
		const remote = remoteOf(0);
		const { sent, look } = make(1, [remote], { lbStrategy: "round_robin" });
		remote.remote.onMiss("did not answer");
		look();
		expect(sent(10)).toEqual([5, 5]);
		remote.remote.onMiss("did not answer");
		look();
		expect(sent(10)).toEqual([10, 0]);
		remote.remote.onHealth(healthy);
		look();
		expect(sent(10)).toEqual([5, 5]);
	});

	it("they take all clients while no shard here serves", () => {
		const made = make(2, [remoteOf(0)]);
		for (const row of made.board.rows()) row.state = ShardState.dead;
		made.look();
		expect(made.sent(10)).toEqual([0, 0, 10]);
	});

	it("what another machine has passed on stays here, or is refused", () => {
		const made = make(1, [remoteOf(0, 1000)]);
		expect(made.sent(50, true)).toEqual([50, 0]);
		made.board.row(0).state = ShardState.dead;
		made.look();
		expect(made.sent(50, true)).toEqual([0, 0]);
	});

	it("one with too many connections in the making gets no more until some are made", () => {
		const remote = remoteOf(0);
		const { sent } = make(1, [remote], { lbStrategy: "round_robin" });
		remote.dialing = 4;
		expect(sent(10)).toEqual([10, 0]);
		remote.dialing = 3;
		expect(sent(10)).toEqual([5, 5]);
	});

	it("adaptive: they count as busy as the shards here, and take the clients of shards that are overloaded", () => {
		const made = make(2, [remoteOf(0)], { lbStrategy: "adaptive" });
		const load = (slots: readonly number[], memory: number) => {
			clock.nowMs += 1000;
			for (const row of made.board.rows()) {
				row.set("heartbeatMs", clock.nowMs);
				if (slots.includes(row.slot)) row.set("residentBytes", (memory * machine.memoryBytes) / 2);
			}
			made.look();
		};
		load([0, 1], 0.6);
		const counts = made.sent(3000);
		for (const count of counts) expect(Math.abs(count - 1000), `${counts}`).toBeLessThan(150);
		load([0, 1], 0.95);
		expect(made.sent(100)).toEqual([0, 0, 100]);
	});

	it("a client's id keeps its shard while remote shards come and go, unless it was theirs", () => {
		const remote = remoteOf(0);
		const { picker, look } = make(3, [remote], { lbAffinity: "user" });
		const homes = () =>
			clients.slice(0, 200).map((key) => {
				look();
				return picker.pick(true, key)!.id;
			});
		const before = homes();
		remote.remote.onMiss("gone");
		remote.remote.onMiss("gone");
		const without = homes();
		let moved = 0;
		expect(before.filter((id) => id === remote.remote.id).length).toBeGreaterThan(0);
		for (const [at, id] of before.entries()) if (id !== remote.remote.id) moved += without[at] === id ? 0 : 1;
		expect(moved).toBe(0);
	});

	it("any strategy, weights and states: only those that may take a client get one, and one gets it if any may", () => {
		const states = fc.array(fc.record({ weight: fc.integer({ min: 0, max: 1000 }), misses: fc.integer({ min: 0, max: 2 }) }), {
			maxLength: 4,
		});
		fc.assert(
			fc.property(fc.constantFrom(...balancerStrategies), fc.integer({ min: 0, max: 2 }), states, (lbStrategy, local, remotes) => {
				const rows = remotes.map(({ weight, misses }, at) => {
					const row = remoteOf(at, weight);
					for (let missed = 0; missed < misses; missed++) row.remote.onMiss("did not answer");
					return row;
				});
				const made = make(2, rows, { lbStrategy });
				for (const row of made.board.rows().slice(local)) row.state = ShardState.dead;
				made.look();
				const counts = made.sent(20);
				const able = [
					...Array.from({ length: 2 }, (_, at) => at < local),
					...remotes.map(({ weight, misses }) => weight > 0 && misses < 2),
				];
				for (const [at, count] of counts.entries()) if (!able[at]) expect(count).toBe(0);
				expect(counts.reduce((sum, count) => sum + count, 0)).toBe(able.includes(true) ? 20 : 0);
			}),
			{ numRuns: 200 },
		);
	});
});

import { autoCount, type Config, defaultConfig } from "@shardcast/config";
import { afterEach, expect, it, vi } from "vitest";
import { FollowCpus } from "../src/operations/follow-cpus.ts";
import { OperationAborted, OperationRefused } from "../src/operations/operation.ts";
import { autoShards, planTopology } from "../src/topology.ts";

let follow: FollowCpus;
afterEach(() => follow.stop());

function setup(shards: number) {
	const state = { cpus: shards, shards, scaled: [] as number[], problem: null as Error | null };
	const told: string[] = [];
	follow = new FollowCpus({
		cpuCount: () => state.cpus,
		shardCount: () => state.shards,
		scale: async (count) => {
			state.scaled.push(count);
			if (state.problem !== null) throw state.problem;
			state.shards = count;
		},
		log: { info: vi.fn(), warn: vi.fn() } as never,
		tell: (level, text) => void told.push(`${level}: ${text}`),
	});
	follow.start();
	const looks = async (count: number) => {
		for (let look = 0; look < count; look++) await follow.look();
	};
	return { state, told, looks };
}

it("scales when three looks in a row see another number of CPUs, in both directions", async () => {
	const { state, looks } = setup(2);
	await looks(10);
	state.cpus = 4;
	await looks(2);
	state.cpus = 3;
	await looks(2);
	expect(state.scaled, "it has not seen one number three times").toEqual([]);
	await looks(1);
	state.cpus = 1;
	await looks(5);
	expect(state.scaled).toEqual([3, 1]);
});

it("a number given by hand ends it, also the one that there is, until it is resumed", async () => {
	const { state, told, looks } = setup(2);
	expect(follow.scaling).toEqual({ wanted: 2, present: 2, followsCpus: true });
	expect([follow.byHand(2), follow.byHand(2)]).toEqual([true, false]);
	expect(told).toEqual([
		'info: scaled by hand to 2 shards: the number does not follow the CPUs any more, until "scale auto" or the next start',
	]);
	state.cpus = 4;
	await looks(5);
	expect(state.scaled).toEqual([]);
	expect(follow.scaling).toEqual({ wanted: 2, present: 2, followsCpus: false });
	expect([follow.start(), follow.start()]).toEqual([true, false]);
	expect(follow.scaling).toEqual({ wanted: 4, present: 2, followsCpus: true });
	await looks(3);
	expect(state.scaled).toEqual([4]);
});

it("keeps to --shards-min and --shards-max, and other ones hold from the next look on; a number given by hand is free", async () => {
	const { state, looks } = setup(2);
	const name = (key: string) => key;
	const config = { ...defaultConfig(), shards: autoCount };
	const cpus = (count: number) =>
		({ cpus: Array.from({ length: count }, (_, cpu) => cpu), quota: null, count, source: "affinity" }) as const;
	const topology = planTopology(config, cpus(2), null, name);
	const see = async (count: number, bounds: Pick<Config, "shardsMin" | "shardsMax">) => {
		state.cpus = autoShards(topology, { ...config, ...bounds }, cpus(count));
		await looks(3);
		return state.shards;
	};
	expect(await see(8, { shardsMin: 1, shardsMax: 4 })).toBe(4);
	expect(await see(8, { shardsMin: 1, shardsMax: 6 })).toBe(6);
	expect(await see(1, { shardsMin: 3, shardsMax: 6 })).toBe(3);
	expect(await see(1, { shardsMin: 1, shardsMax: 6 })).toBe(1);
	follow.byHand(9);
	expect(follow.scaling.wanted).toBe(9);
});

it("one shard is not several", () => {
	const { told } = setup(2);
	follow.byHand(1);
	expect(told[0]).toMatch(/^info: scaled by hand to 1 shard: /);
});

it("a scaling by hand that is in progress, or was refused, does not end it", async () => {
	const { state, looks } = setup(2);
	state.cpus = 4;
	state.shards = 5;
	state.problem = new OperationRefused("busy", "another operation is in progress");
	await looks(5);
	state.problem = null;
	await looks(1);
	expect(state.scaled.at(-1)).toBe(4);
	expect(state.shards).toBe(4);
});

it("tries again when another operation is in progress, and tells once when it is not possible", async () => {
	const { state, told, looks } = setup(2);
	state.cpus = 3;
	state.problem = new OperationRefused("busy", "another operation is in progress");
	await looks(4);
	expect([state.scaled, told]).toEqual([[3, 3], []]);
	state.problem = new OperationRefused("not_possible", "port 3004 is in use");
	await looks(3);
	expect(told).toEqual(["warn: following the CPUs: 3 shards wanted, but there are 2: port 3004 is in use"]);
	state.problem = null;
	await looks(4);
	expect(state.shards).toBe(3);
});

it("tries ever more seldom what does not succeed, and at once again when there are other CPUs", async () => {
	const { state, looks } = setup(2);
	state.cpus = 3;
	state.problem = new OperationAborted("the new process of shard 2 did not start");
	await looks(3);
	expect(state.scaled).toHaveLength(1);
	await looks(5);
	expect(state.scaled).toHaveLength(1);
	await looks(1);
	expect(state.scaled).toHaveLength(2);
	await looks(11);
	expect(state.scaled).toHaveLength(2);
	await looks(1);
	expect(state.scaled).toHaveLength(3);
	await looks(10_000);
	expect(state.scaled.length, "at most once an hour").toBeLessThan(40);
	state.cpus = 4;
	state.problem = null;
	await looks(3);
	expect(state.scaled.at(-1)).toBe(4);
});

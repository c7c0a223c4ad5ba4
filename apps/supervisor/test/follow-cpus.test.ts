import { expect, it, vi } from "vitest";
import { FollowCpus } from "../src/operations/follow-cpus.ts";
import { OperationAborted, OperationRefused } from "../src/operations/operation.ts";

function setup(shards: number) {
	const state = { cpus: shards, shards, scaled: [] as number[], problem: null as Error | null };
	const told: string[] = [];
	const follow = new FollowCpus({
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
	const looks = async (count: number) => {
		for (let look = 0; look < count; look++) await follow.look();
	};
	return { state, told, looks, follow };
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

it("people who scale by hand end it", async () => {
	const { state, told, looks, follow } = setup(2);
	follow.start();
	state.shards = 5;
	state.cpus = 4;
	await looks(5);
	expect(state.scaled).toEqual([]);
	expect(told.at(0)).toBe("info: the cluster was scaled to 5 shards; --shards auto does not follow the CPUs until the next start");
	follow.stop();
});

it("tries again when another operation is in progress, and tells once when it is not possible", async () => {
	const { state, told, looks } = setup(2);
	state.cpus = 3;
	state.problem = new OperationRefused("busy", "another operation is in progress");
	await looks(4);
	expect([state.scaled, told]).toEqual([[3, 3], []]);
	state.problem = new OperationRefused("not_possible", "port 3004 is in use");
	await looks(3);
	expect(told).toEqual(["warn: --shards auto: 3 CPUs, but still 2 shards: port 3004 is in use"]);
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

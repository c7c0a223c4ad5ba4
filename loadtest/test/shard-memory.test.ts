import { describe, expect, it } from "vitest";
import { ShardMemory } from "../src/bench/channels/shard-memory.ts";

const MiB = 1024 * 1024;
const processes = [
	{ name: "supervisor", pid: 1 },
	{ name: "balancer", pid: 2 },
	{ name: "shard 0", pid: 3 },
	{ name: "shard 1", pid: 4 },
];

describe("shard memory", () => {
	it("counts the shards, neither supervisor nor balancer", () => {
		const memory = new ShardMemory(
			processes,
			async () => {},
			(pid) => 10 ** pid,
		);
		expect(memory.bytes(), "shards 0 and 1").toBe(11_000);
	});

	it("collects garbage of the shards until their memory no longer changes", async () => {
		let garbage = 3 * MiB;
		const collected: (readonly number[])[] = [];
		const memory = new ShardMemory(
			processes,
			async (pids) => {
				collected.push(pids);
				garbage = Math.max(0, garbage - MiB);
			},
			() => 20 * MiB + garbage,
		);
		expect(await memory.collectedBytes(), "two shards without garbage").toBe(40 * MiB);
		expect(collected, "three collections and one that changes nothing").toEqual(Array(4).fill([3, 4]));
	});

	it("says so when the memory does not settle", async () => {
		let bytes = 0;
		const memory = new ShardMemory(
			processes,
			async () => {
				bytes += MiB;
			},
			() => bytes,
		);
		await expect(memory.collectedBytes()).rejects.toThrow("still changed by 2048 KiB in the last of 10 collections");
	});
});

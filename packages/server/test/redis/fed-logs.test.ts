import { ChannelLog, holderOf, LogLayout } from "@shardcast/channel-log";
import { Role } from "@shardcast/scoreboard";
import { describe, expect, it } from "vitest";
import { FedLogs } from "../../src/redis/fed-logs.ts";

const all = Array.from({ length: LogLayout.logs }, (_, log) => log);

/** Shards 0 and 1 with the same logs. */
function start() {
	const clock = { nowMs: 0 };
	const feeders = all.map(() => 0);
	const board = { members: () => [0, 1].map((slot) => ({ slot, role: Role.shard })) as never };
	const shard = (slot: number, incarnation = 1) => {
		const self = holderOf(slot, incarnation);
		const log: Pick<ChannelLog, "feeder" | "takeFeed" | "releaseFeeds"> = {
			feeder: (index) => feeders[index]!,
			takeFeed: (index) => {
				const isFree = feeders[index] === 0;
				if (isFree) feeders[index] = self;
				return isFree;
			},
			releaseFeeds: () => {
				for (const index of all) if (feeders[index] === self) feeders[index] = 0;
			},
		};
		return new FedLogs({ log, board, row: { slot, incarnation }, nowMs: () => clock.nowMs });
	};
	const fedBy = (logs: FedLogs) => all.filter((log) => logs.isFedHere(log));
	return { clock, feeders, shard, fedBy };
}

describe("FedLogs", () => {
	it("shards divide the logs among themselves, and keep them", () => {
		const { clock, shard, fedBy } = start();
		const [first, second] = [shard(0), shard(1)];
		first.tick();
		second.tick();
		expect([fedBy(first), fedBy(second)]).toEqual([
			[0, 2, 4, 6],
			[1, 3, 5, 7],
		]);
		clock.nowMs += 60_000;
		first.tick();
		expect(fedBy(first).length).toBe(4);
	});

	it("after a second, any shard feeds a log without a feeder; a shard that returns does not take it back", () => {
		const { clock, feeders, shard, fedBy } = start();
		const [first, second] = [shard(0), shard(1)];
		first.tick();
		second.tick();
		// The supervisor has reaped shard 1.
		for (const log of [1, 3, 5, 7]) feeders[log] = 0;
		first.tick();
		clock.nowMs += 1000;
		first.tick();
		expect(fedBy(first), "within a second").toEqual([0, 2, 4, 6]);
		clock.nowMs += 1;
		first.tick();
		expect(fedBy(first), "after it").toEqual(all);
		const restarted = shard(1, 2);
		restarted.tick();
		expect(fedBy(restarted)).toEqual([]);
		first.stop();
		restarted.tick();
		expect(fedBy(restarted)).toEqual([1, 3, 5, 7]);
	});

	it("the logs themselves say which shard feeds them", () => {
		const log = ChannelLog.inMemory({ memoryBytes: 8 * 65_536 });
		const logs = new FedLogs({ log, board: { members: () => [] }, row: { slot: 0, incarnation: 1 }, nowMs: () => 0 });
		logs.tick();
		expect(all.map((index) => log.feeder(index))).toEqual(all.map(() => holderOf(0, 1)));
		logs.stop();
		expect(all.map((index) => log.feeder(index))).toEqual(all.map(() => 0));
	});
});

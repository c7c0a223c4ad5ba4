import { describe, expect, it } from "vitest";
import { OutboxCounts } from "../src/outbox/outbox-counts.ts";
import { OutboxRound } from "../src/outbox/outbox-round.ts";
import type { OutboxRow, RowResult } from "../src/outbox/outbox-row.ts";
import { WaitingChannels } from "../src/outbox/waiting-channels.ts";

const row = (id: string, channel = "a"): OutboxRow => ({
	...{ id, channel, createdAt: `${id}.5`, data: "1", bytes: null, tags: null },
	...{ idempotencyKey: id, delta: false, skipHistory: false, size: 1 },
});
const full: RowResult = { outcome: "later", reason: "there is no room" };
const failed: RowResult = { outcome: "later", reason: "a handler failed", triesMax: 5 };

describe("a row that cannot be published now", () => {
	/** Tries the row so often as there are results. @returns how many rows are dead after each try. */
	async function deadAfter(results: readonly RowResult[]): Promise<readonly number[]> {
		const waiting = new WaitingChannels();
		const dead: number[] = [];
		for (const result of results) {
			const parts = { waiting, counts: new OutboxCounts(), rowBytesMax: 100, nowMs: () => 0 };
			const round = new OutboxRound({ ...parts, publish: () => result });
			await round.publish([row("7")], () => false);
			dead.push(round.dead.length);
		}
		return dead;
	}

	it("is dead when its handlers have failed five times; tries that found no room do not count", async () => {
		expect(await deadAfter([failed, failed, failed, failed, failed])).toEqual([0, 0, 0, 0, 1]);
		expect(await deadAfter([full, full, full, full, full, full, failed])).toEqual([0, 0, 0, 0, 0, 0, 0]);
		expect(await deadAfter([failed, full, failed, failed, full, failed, failed])).toEqual([0, 0, 0, 0, 0, 0, 1]);
	});

	it("waits a second after its handlers have failed: what they need may be away for a moment; without room 20 ms, then twice as long each time", () => {
		const pausesOf = (counts: boolean) => {
			const waiting = new WaitingChannels();
			return [1, 2, 3].map(() => {
				waiting.failed("a", "7", 0, counts);
				return waiting.nextMs(0);
			});
		};
		expect(pausesOf(true)).toEqual([1000, 1000, 1000]);
		expect(pausesOf(false)).toEqual([20, 40, 80]);
	});
});

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeTransport } from "../support/fake-transport.ts";
import { ShardParts } from "../support/shard-parts.ts";

describe("the clients of a shard", () => {
	beforeEach(() => void vi.useFakeTimers({ toFake: ["performance"] }));
	afterEach(() => void vi.useRealTimers());

	it("delivery gives up nobody for time in which the process stood still, and a client that does not read after its patience", () => {
		const parts = new ShardParts();
		const { row } = parts;
		const { pacing } = parts.clients;
		const backlogBytes = () => 1_000_000;
		const slow = parts.client();
		slow.peer.pause();
		slow.send("x".repeat(FakeTransport.bufferedBytesMax * 0.75), false);
		pacing.published(FakeTransport.bufferedBytesMax);
		expect(pacing.mustWait(backlogBytes)).toBe(true);
		vi.advanceTimersByTime(1200);
		expect(pacing.mustWait(backlogBytes), "after a pause of the process").toBe(true);
		expect(row.get("clientsGivenUp")).toBe(0);
		for (let step = 0; step < 5; step++) {
			vi.advanceTimersByTime(100);
			pacing.mustWait(backlogBytes);
		}
		expect(row.get("clientsGivenUp")).toBe(1);
	});
});

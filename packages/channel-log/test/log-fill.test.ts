import { describe, expect, it } from "vitest";
import { holderOf, tryLock } from "../src/memory/log-lock.ts";
import { bytes, kept, limits, Rig } from "./fixtures.ts";

describe("how full the logs are", () => {
	it("channels and keys count while they live, and memory once it was used", () => {
		const rig = new Rig(16 * 1_048_576);
		const log = rig.member();
		const fill = () => log.fill();
		const before = fill();
		expect(before).toMatchObject({ channels: 0, keys: 0 });
		for (let index = 0; index < 200; index++)
			log.publish(`c${index}`, bytes("x".repeat(20_000)), { ...kept, idempotency: { key: "k", ttlMs: 1000 } });
		expect(fill()).toMatchObject({ channels: 200, rows: before.rows });
		// An estimate: every fourth bucket is looked at.
		expect(fill().keys).toBeGreaterThan(100);
		expect(fill().keys).toBeLessThan(400);
		expect(fill().usedBytes).toBeGreaterThan(before.usedBytes);
		expect(fill().usedBytes).toBeLessThanOrEqual(before.bytes);
		expect(rig.keeper.fill(rig.clock.nowMs)).toEqual(fill());
		rig.clock.nowMs += limits.metaTtlMs + 1;
		expect(fill()).toMatchObject({ channels: 0, keys: 0 });
	});

	it("publications are counted once, repeats by their key and refusals are not", () => {
		const rig = new Rig();
		const log = rig.member();
		for (const key of ["a", "b", "a"]) log.publish("c", bytes("x"), { ...kept, idempotency: { key, ttlMs: 1000 } });
		expect(rig.keeper.counts()).toMatchObject({ published: 2, duplicates: 1 });
	});

	it("a lock that a dead process held is counted when it is freed", () => {
		const rig = new Rig();
		tryLock(rig.memories[3]!, holderOf(5, 2));
		expect(rig.keeper.memberDied(4, 2)).toBe(0);
		expect(rig.keeper.memberDied(5, 2)).toBe(1);
		expect(rig.keeper.counts().locksFreed).toBe(1);
	});
});

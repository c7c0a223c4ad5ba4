import { addressKeyOf } from "@shardcast/limits";
import { Scoreboard } from "@shardcast/scoreboard";
import { describe, expect, it } from "vitest";
import { type BodySlot, type BodySlotLimits, BodySlots } from "../../src/limits/body-slots.ts";

const [a, b, c] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(addressKeyOf) as [bigint, bigint, bigint];

function setup(changes: Partial<BodySlotLimits> = {}) {
	const clock = { ms: 0 };
	const row = Scoreboard.inMemory(1).row(0);
	const limits = { slotsMax: 4, slotsPerAddressMax: 2, bytesMax: 1000, graceMs: 100, nowMs: () => clock.ms, counters: row };
	const slots = new BodySlots({ ...limits, ...changes });
	const evicted: string[] = [];
	const take = (name: string, address: bigint): BodySlot | null => slots.take(address, () => evicted.push(name));
	return { clock, slots, evicted, take, counts: () => [row.get("bodiesEvicted"), row.get("bodiesRefused")] };
}

describe("slots for request bodies", () => {
	it("an address that uses its share loses its own slowest body, and nobody else's", () => {
		const { clock, slots, evicted, take, counts } = setup();
		take("other", b);
		const [slow, fast] = [take("slow", a)!, take("fast", a)!];
		slots.grow(slow, 1);
		slots.grow(fast, 500);
		clock.ms = 99;
		expect(take("early", a), "nobody can tell yet who is slow").toBeNull();
		clock.ms = 100;
		expect(take("next", a)).not.toBeNull();
		expect(evicted).toEqual(["slow"]);
		expect(slots.count).toBe(3);
		expect(counts()).toEqual([1, 1]);
	});

	it("when all are in use, the slowest of all bodies is dropped: by bytes per time, not by age or bytes alone", () => {
		const { clock, slots, evicted, take } = setup();
		const old = take("old", a)!;
		clock.ms = 800;
		const fresh = take("fresh", b)!;
		const stalled = take("stalled", c)!;
		clock.ms = 1000;
		take("newcomer", c);
		slots.grow(old, 600); // 0.6 per ms
		slots.grow(fresh, 140); // 0.7 per ms
		slots.grow(stalled, 100); // 0.5 per ms
		expect(take("next", a)).not.toBeNull();
		expect(evicted).toEqual(["stalled"]);
		expect(take("again", b)).not.toBeNull();
		expect(evicted).toEqual(["stalled", "old"]);
		slots.release(fresh);
		expect(take("into the gap", b)).not.toBeNull();
		expect(evicted).toHaveLength(2);
		expect(slots.count).toBe(4);
	});

	it("when memory is used up, one slow body that frees enough makes way for a chunk; without such a body the chunk is refused", () => {
		const { clock, slots, evicted, take } = setup();
		const [small, large, mine] = [take("small", a)!, take("large", b)!, take("mine", c)!];
		expect([slots.grow(small, 50), slots.grow(large, 700), slots.grow(mine, 200)]).toEqual([true, true, true]);
		expect(slots.grow(mine, 400), "in its grace").toBe(false);
		clock.ms = 100;
		expect(slots.grow(mine, 400)).toBe(true);
		expect(evicted).toEqual(["large"]);
		expect(slots.grow(mine, 700), "never its own").toBe(false);
		slots.release(mine);
		expect(slots.grow(take("next", c)!, 950), "all that is not held any more is there again").toBe(true);
	});

	it("everything is released, once", () => {
		const { clock, slots, evicted, take } = setup({ slotsMax: 1, bytesMax: 10 });
		for (let round = 0; round < 100; round++) {
			const slot = take(`${round}`, a)!;
			expect(slots.grow(slot, 10)).toBe(true);
			clock.ms += 200;
			const next = take("next", a)!;
			slots.release(slot);
			expect(slots.grow(next, 10)).toBe(true);
			slots.release(next);
			slots.release(next);
			expect(slots.count).toBe(0);
		}
		expect(evicted).toHaveLength(100);
	});
});

import { describe, expect, it } from "vitest";
import { DeliveryChecker, mergeReports } from "../src/delivery-checker.ts";

/** One client, one sender of which `due` messages were sent; what arrived, in this order. */
function verdict(arrived: readonly number[], due: number) {
	const checker = new DeliveryChecker(1, 1);
	for (const sequence of arrived) checker.saw(0, 0, sequence);
	const { examples, ...counts } = checker.report(() => due);
	return { ...counts, examples };
}

describe("DeliveryChecker", () => {
	it("passes what came once and in order", () => {
		expect(verdict([0, 1, 2], 3)).toEqual({ received: 3, lost: 0, duplicated: 0, reordered: 0, unexpected: 0, examples: [] });
	});

	it("finds what is lost at the beginning, in the middle and at the end", () => {
		expect(verdict([1, 2, 5], 8)).toMatchObject({ lost: 5, duplicated: 0, reordered: 0 });
		expect(verdict([1, 2, 5], 8).examples).toEqual([
			"client 0 lost 0 of sender 0",
			"client 0 lost 3…4 of sender 0",
			"client 0 lost 6…7 of sender 0",
		]);
		expect(verdict([], 2)).toMatchObject({ received: 0, lost: 2 });
	});

	it("finds what came twice, at once and later", () => {
		expect(verdict([0, 0, 1, 2, 1], 3)).toMatchObject({ received: 5, lost: 0, duplicated: 2, reordered: 0 });
		expect(verdict([0, 0], 1).examples).toEqual(["client 0 got 0 of sender 0 again"]);
	});

	it("finds what came late: reordered, not lost, and doubled when it comes again", () => {
		expect(verdict([0, 2, 1, 3], 4)).toMatchObject({ lost: 0, duplicated: 0, reordered: 1 });
		expect(verdict([3, 2, 1, 0], 4)).toMatchObject({ lost: 0, duplicated: 0, reordered: 3 });
		expect(verdict([0, 5, 3, 3], 6)).toMatchObject({ lost: 3, duplicated: 1, reordered: 1 });
	});

	it("agrees with counting by hand on random deliveries", () => {
		for (let round = 0; round < 500; round++) {
			const due = 1 + Math.floor(Math.random() * 12);
			const arrived = Array.from({ length: Math.floor(Math.random() * 20) }, () => Math.floor(Math.random() * due));
			const seen = new Set<number>();
			let [duplicated, reordered, highest] = [0, 0, -1];
			for (const sequence of arrived) {
				if (seen.has(sequence)) duplicated++;
				else if (sequence < highest) reordered++;
				seen.add(sequence);
				highest = Math.max(highest, sequence);
			}
			expect(verdict(arrived, due), arrived.join()).toMatchObject({
				received: arrived.length,
				lost: due - seen.size,
				duplicated,
				reordered,
			});
		}
	});

	it("keeps clients and senders apart", () => {
		const checker = new DeliveryChecker(2, 2, 100);
		checker.saw(0, 0, 0);
		checker.saw(0, 1, 0);
		checker.saw(1, 1, 0);
		checker.saw(1, 1, 0);
		expect(checker.report((client, sender) => (client === 1 && sender === 0 ? 0 : 1))).toEqual({
			received: 4,
			lost: 0,
			duplicated: 1,
			reordered: 0,
			unexpected: 0,
			examples: ["client 101 got 0 of sender 1 again"],
		});
	});

	it("counts what was never meant for a client", () => {
		const checker = new DeliveryChecker(1, 1);
		checker.saw(0, 0, 0);
		checker.saw(0, 7, 0);
		checker.stray(0, "its own message");
		expect(checker.report(() => 0)).toMatchObject({ unexpected: 3, lost: 0 });
	});

	it("stays bounded when every second message is lost", () => {
		const checker = new DeliveryChecker(1, 1);
		for (let sequence = 1; sequence < 300_000; sequence += 2) checker.saw(0, 0, sequence);
		expect(checker.report(() => 300_000)).toMatchObject({ lost: 150_000, duplicated: 0 });
	});

	it("adds reports up", () => {
		const report = { received: 1, lost: 2, duplicated: 3, reordered: 4, unexpected: 5, examples: ["a"] };
		expect(mergeReports([report, report])).toEqual({
			received: 2,
			lost: 4,
			duplicated: 6,
			reordered: 8,
			unexpected: 10,
			examples: ["a", "a"],
		});
	});
});

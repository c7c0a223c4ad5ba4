import { describe, expect, it } from "vitest";
import { EventQueue } from "../src/event-queue.ts";

const seqs = (events: readonly { readonly seq: number }[]) => events.map(({ seq }) => seq);

describe("the events that wait for a receiver", () => {
	it("come out in order and are numbered from 1", () => {
		const queue = new EventQueue(10, 1000);
		for (const text of ["a", "b", "c"]) queue.add(text, 5);
		expect(queue.oldestMs).toBe(5);
		expect(queue.take(2, 1000).map(({ seq, members }) => [seq, members])).toEqual([
			[1, "a"],
			[2, "b"],
		]);
		expect(seqs(queue.take(9, 1000))).toEqual([3]);
		expect([queue.size, queue.oldestMs]).toEqual([0, undefined]);
	});

	it("at the bound: as many as allowed stay; one more, and the oldest goes, is counted, and its number is not given again", () => {
		const queue = new EventQueue(3, 1000);
		for (let n = 0; n < 3; n++) queue.add("x", 0);
		expect([queue.size, queue.dropped]).toEqual([3, 0]);
		queue.add("x", 0);
		expect([queue.size, queue.dropped]).toEqual([3, 1]);
		expect(seqs(queue.take(9, 1000))).toEqual([2, 3, 4]);
	});

	it("are bounded by their characters as well", () => {
		const queue = new EventQueue(100, 10);
		for (let n = 0; n < 5; n++) queue.add("xxx", 0);
		expect([queue.size, queue.dropped]).toEqual([3, 2]);
		expect(seqs(queue.take(100, 4)), "a request is not much longer than it may be").toEqual([3, 4]);
	});

	it("a smaller bound holds at once, and events that never came leave a gap", () => {
		const queue = new EventQueue(10, 1000);
		for (let n = 0; n < 5; n++) queue.add("x", 0);
		queue.max = 2;
		queue.skip(4);
		queue.add("x", 0);
		expect(queue.dropped).toBe(3 + 1 + 4);
		expect(seqs(queue.take(9, 1000))).toEqual([5, 10]);
	});

	it("stays in order over many events", () => {
		const queue = new EventQueue(5000, 1_000_000);
		let next = 1;
		for (let round = 0; round < 50; round++) {
			for (let n = 0; n < 100; n++) queue.add("x", 0);
			const taken = seqs(queue.take(90, 1000));
			expect(taken).toEqual(Array.from(taken, () => next++));
		}
		expect(queue.size).toBe(500);
	});
});

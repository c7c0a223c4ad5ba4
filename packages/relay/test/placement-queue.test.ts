import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { PlacementQueue } from "../src/placement-queue.ts";

describe("placement queue", () => {
	let room: number;
	let placed: string[];
	let refused: string[];
	let steps: string[];
	let heldUp: boolean;
	let queue: PlacementQueue<string>;

	beforeEach(() => {
		vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
		room = 0;
		heldUp = false;
		placed = [];
		refused = [];
		steps = [];
		queue = new PlacementQueue<string>({
			waitMs: 20,
			heldUpMs: 200,
			areHeldUp: () => heldUp,
			itemsMax: 3,
			look: () => steps.push("look"),
			place: (item) => {
				if (room === 0) return false;
				room--;
				placed.push(item);
				return true;
			},
			placed: () => steps.push("placed"),
			refuse: (item) => refused.push(item),
		});
	});

	afterEach(() => {
		vi.useRealTimers();
	});

	it("refuses no client before it has looked again for a while", () => {
		queue.add("a");
		vi.advanceTimersByTime(18);
		expect(refused).toEqual([]);
		room = 1;
		vi.advanceTimersByTime(2);
		expect(placed).toEqual(["a"]);
		expect(refused).toEqual([]);
		expect(vi.getTimerCount()).toBe(0);
	});

	it("places connections in order of arrival, and refuses the rest when their time is over", () => {
		queue.add("a");
		vi.advanceTimersByTime(10);
		queue.add("b");
		room = 1;
		vi.advanceTimersByTime(2);
		expect(placed).toEqual(["a"]);
		vi.advanceTimersByTime(20);
		expect(refused).toEqual(["b"]);
		expect(steps.slice(0, 2)).toEqual(["look", "placed"]);
		expect(vi.getTimerCount()).toBe(0);
	});

	it("waits longer while the shards are merely delayed, but not forever", () => {
		heldUp = true;
		queue.add("a");
		queue.add("b");
		vi.advanceTimersByTime(190);
		expect(refused).toEqual([]);
		room = 1;
		vi.advanceTimersByTime(2);
		expect(placed).toEqual(["a"]);
		vi.advanceTimersByTime(10);
		expect(refused).toEqual(["b"]);
		queue.add("c");
		vi.advanceTimersByTime(30);
		heldUp = false;
		vi.advanceTimersByTime(2);
		expect(refused).toEqual(["b", "c"]);
	});

	it("refuses at once when too many wait", () => {
		for (const item of ["a", "b", "c", "d"]) queue.add(item);
		expect(refused).toEqual(["d"]);
		expect(queue.size).toBe(3);
	});

	it("keeps what comes back while it places", () => {
		const again = new PlacementQueue<string>({
			waitMs: 20,
			heldUpMs: 20,
			areHeldUp: () => false,
			itemsMax: 9,
			look: () => {},
			place: () => true,
			placed: () => {
				if (steps.push("placed") === 1) again.add("back");
			},
			refuse: (item) => refused.push(item),
		});
		again.add("a");
		vi.advanceTimersByTime(2);
		expect(again.size).toBe(1);
		vi.advanceTimersByTime(2);
		expect(again.size).toBe(0);
		expect(vi.getTimerCount()).toBe(0);
	});

	it("returns all connections at the end", () => {
		queue.add("a");
		queue.add("b");
		expect(queue.take()).toEqual(["a", "b"]);
		expect(vi.getTimerCount()).toBe(0);
	});
});

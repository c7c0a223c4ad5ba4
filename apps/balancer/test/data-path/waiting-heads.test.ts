import { HeadParser } from "@shardcast/relay";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type WaitingHead, WaitingHeads } from "../../src/handoff/waiting-heads.ts";

describe("waiting heads", () => {
	let looks: { fd: number; atMs: number }[];
	let expired: number[];
	let runs: string[];
	let onLook: (head: WaitingHead) => boolean;
	let heads: WaitingHeads;

	beforeEach(() => {
		vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
		looks = [];
		expired = [];
		runs = [];
		onLook = () => true;
		heads = new WaitingHeads({
			headsMax: 3,
			timeoutMs: () => 1000,
			nowMs: () => performance.now(),
			look: (head) => {
				looks.push({ fd: head.fd, atMs: performance.now() });
				return onLook(head);
			},
			begin: () => runs.push("begin"),
			end: () => runs.push("end"),
			expire: ({ fd }) => expired.push(fd),
		});
	});

	afterEach(() => {
		vi.useRealTimers();
	});

	const add = (fd: number, seen = 0) => heads.add(fd, performance.now(), new HeadParser(), seen);

	it("looks less and less often, until something comes", () => {
		const beganMs = performance.now();
		add(5);
		vi.advanceTimersByTime(200);
		expect(looks.map(({ atMs }) => atMs - beganMs)).toEqual([1, 3, 7, 15, 31, 63, 113, 163]);
		onLook = (head) => {
			head.seen += 10;
			return true;
		};
		looks = [];
		vi.advanceTimersByTime(20);
		expect(looks.length).toBeGreaterThan(3);
	});

	it("forgets a connection that needs no further look, and has no timer when it is empty", () => {
		add(5);
		onLook = () => false;
		vi.advanceTimersByTime(1);
		expect(heads.size).toBe(0);
		expect(runs).toEqual(["begin", "end"]);
		expect(vi.getTimerCount()).toBe(0);
	});

	it("gives up a head that takes too long", () => {
		add(5);
		vi.advanceTimersByTime(990);
		expect(expired).toEqual([]);
		vi.advanceTimersByTime(60);
		expect(expired).toEqual([5]);
		expect(vi.getTimerCount()).toBe(0);
	});

	it("drops the oldest when it is full", () => {
		for (const fd of [5, 6, 7, 8]) add(fd);
		expect(expired).toEqual([5]);
		expect(heads.size).toBe(3);
	});

	it("checks a new connection soon, although the others are checked rarely", () => {
		add(5);
		vi.advanceTimersByTime(120);
		looks = [];
		add(6);
		vi.advanceTimersByTime(1);
		expect(looks.map(({ fd }) => fd)).toEqual([6]);
	});

	it("returns the oldest, if it is old enough", () => {
		expect(heads.takeOldest(0)).toBeNull();
		add(1);
		vi.advanceTimersByTime(100);
		add(2);
		expect(heads.takeOldest(200)).toBeNull();
		vi.advanceTimersByTime(150);
		expect([heads.takeOldest(200)?.fd, heads.takeOldest(200), heads.takeOldest(100)?.fd, heads.takeOldest(0)]).toEqual([1, null, 2, null]);
		expect(expired).toEqual([]);
		expect(vi.getTimerCount()).toBe(0);
	});

	it("removes the selected connections", () => {
		add(5, 0);
		add(6, 3);
		expect(heads.take(({ seen }) => seen === 0).map(({ fd }) => fd)).toEqual([5]);
		expect(heads.take().map(({ fd }) => fd)).toEqual([6]);
		expect(vi.getTimerCount()).toBe(0);
	});
});

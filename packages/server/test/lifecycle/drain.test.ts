import { describe, expect, it } from "vitest";
import { closeAll, waitUntilClosed } from "../../src/lifecycle/drain.ts";
import type { ClientSession } from "../../src/sessions/client-session.ts";

interface Told {
	readonly id: number;
	readonly atMs: number;
}

interface Options {
	readonly rate?: number;
	readonly deadlineMs?: number;
	readonly buffered?: (id: number, nowMs: number) => number;
	/** Once this time has come, a pause takes so much longer. */
	readonly stall?: { readonly atMs: number; readonly ms: number };
}

function setup(count: number, options: Options = {}) {
	let nowMs = 0;
	let stall = options.stall;
	const told: Told[] = [];
	const clients = Array.from({ length: count }, (_, id) => {
		const transport = { getBufferedAmount: () => options.buffered?.(id, nowMs) ?? 0 };
		const client = { place: id, transport } as unknown as ClientSession;
		return { id, client };
	});
	const idOf = new Map(clients.map(({ id, client }) => [client, id]));
	const run = closeAll({
		clients: () => clients.map(({ client }) => client),
		close: (client) => {
			client.place = -1;
			told.push({ id: idOf.get(client)!, atMs: nowMs });
		},
		clientsPerSecond: options.rate ?? 1000,
		deadlineMs: options.deadlineMs ?? 30_000,
		nowMs: () => nowMs,
		pause: async (ms) => {
			nowMs += ms;
			if (stall === undefined || nowMs < stall.atMs) return;
			nowMs += stall.ms;
			stall = undefined;
		},
		random: Math.random,
	});
	return { run, told, now: () => nowMs };
}

describe("closing all clients", () => {
	it("takes no time without clients, and hardly any with few", async () => {
		const none = setup(0);
		await none.run;
		expect(none.now()).toBe(0);
		const few = setup(10);
		await few.run;
		expect(few.now()).toBe(0);
	});

	it("is spread over time at the drain rate, in random order", async () => {
		const { run, told, now } = setup(5000, { rate: 1000 });
		await run;
		expect(told).toHaveLength(5000);
		// Four fifths of the rate: 6.25 s.
		expect(now()).toBeGreaterThan(6000);
		expect(now()).toBeLessThan(6500);
		// No 900 within any second.
		const tooSoon = told.filter(({ atMs }, index) => index >= 899 && atMs - told[index - 899].atMs < 1000);
		expect(tooSoon).toEqual([]);
		const inOrder = told.filter(({ id }, index) => index > 0 && id === told[index - 1].id + 1).length;
		expect(inOrder).toBeLessThan(50);
	});

	it("keeps to a rate of less than one client per tick", async () => {
		const { run, now } = setup(10, { rate: 2, deadlineMs: 60_000 });
		await run;
		// The first at once, then one each 625 ms: four fifths of the rate.
		expect(now()).toBeGreaterThan(5500);
		expect(now()).toBeLessThan(5800);
	});

	it("is no burst after a pause of the process, which makes it last longer", async () => {
		const { run, told, now } = setup(1000, { rate: 1000, stall: { atMs: 300, ms: 600 } });
		await run;
		expect(now()).toBeGreaterThan(1700);
		for (const atMs of new Set(told.map((each) => each.atMs)))
			expect(told.filter((each) => each.atMs === atMs).length, `at ${atMs} ms`).toBeLessThanOrEqual(100);
	});

	it("makes up for a pause of the process if that is necessary within half of the deadline", async () => {
		const { run, told, now } = setup(1000, { rate: 100, deadlineMs: 2000, stall: { atMs: 300, ms: 600 } });
		await run;
		expect(told).toHaveLength(1000);
		expect(now()).toBeLessThan(1100);
	});

	it("exceeds the drain rate if that is necessary within half of the deadline", async () => {
		const { run, told, now } = setup(12_000, { rate: 100, deadlineMs: 2000 });
		await run;
		expect(told).toHaveLength(12_000);
		expect(now()).toBeLessThan(1200);
	});

	it("closes all that have nothing unwritten in the first half of the deadline, also if a pause of the process goes beyond it", async () => {
		for (const changes of [{}, { stall: { atMs: 700, ms: 400 } }]) {
			const { run, told } = setup(5000, { rate: 100, deadlineMs: 2000, ...changes, buffered: (id) => (id === 0 ? 1 : 0) });
			await run;
			expect(told).toHaveLength(4999);
			expect(told.at(-1)!.atMs).toBeLessThan(1150);
		}
	});

	it("is no burst when the messages of slow clients are written all at once after the half, and is over in time", async () => {
		const slow = setup(500, { rate: 1000, deadlineMs: 10_000, buffered: (_, nowMs) => (nowMs < 6000 ? 1 : 0) });
		await slow.run;
		expect(slow.told).toHaveLength(500);
		expect(slow.now()).toBeGreaterThan(6550);
		expect(slow.now()).toBeLessThan(6800);
		const late = setup(500, { rate: 10, deadlineMs: 10_000, buffered: (_, nowMs) => (nowMs < 6000 ? 1 : 0) });
		await late.run;
		expect(late.told).toHaveLength(500);
		expect(late.now()).toBeGreaterThan(7400);
		expect(late.now()).toBeLessThan(7600);
	});

	it("happens at once when no time is left, or hardly any", async () => {
		for (const deadlineMs of [0, 0.01, 10]) {
			const { run, told, now } = setup(5000, { rate: 100, deadlineMs });
			await run;
			expect(told, `${deadlineMs} ms`).toHaveLength(5000);
			expect(now()).toBe(0);
		}
	});

	it("gives a client time for its unread data, and gives up at the deadline", async () => {
		const { run, told, now } = setup(3, { deadlineMs: 1000, buffered: (id, nowMs) => (id === 1 && nowMs < 500 ? 10 : id === 2 ? 10 : 0) });
		await run;
		expect(told.map(({ id }) => id)).toEqual([0, 1]);
		expect(told[1].atMs).toBeGreaterThanOrEqual(500);
		expect(now()).toBeGreaterThanOrEqual(1000);
		expect(now()).toBeLessThan(1050);
	});

	it("waits for connections to end, but not forever", async () => {
		let nowMs = 0;
		const clock = {
			nowMs: () => nowMs,
			pause: async (ms: number) => {
				nowMs += ms;
			},
		};
		await waitUntilClosed(5, { open: () => 5, deadlineMs: 250, ...clock });
		expect(nowMs).toBe(0);
		await waitUntilClosed(5, { open: () => (nowMs < 40 ? 9 : 5), deadlineMs: 250, ...clock });
		expect(nowMs).toBe(40);
		await waitUntilClosed(5, { open: () => 6, deadlineMs: 250, ...clock });
		expect(nowMs).toBe(290);
	});
});

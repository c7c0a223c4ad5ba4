import { describe, expect, it } from "vitest";
import { closeAll, waitUntilClosed } from "../../src/lifecycle/drain.ts";
import type { ClientSession } from "../../src/sessions/client-session.ts";

interface Told {
	readonly id: number;
	readonly atMs: number;
}

function setup(count: number, options: { rate?: number; deadlineMs?: number; buffered?: (id: number, nowMs: number) => number } = {}) {
	let nowMs = 0;
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
		expect(now()).toBeGreaterThan(4000);
		expect(now()).toBeLessThan(6000);
		for (const second of [0, 1, 2, 3]) {
			const within = told.filter(({ atMs }) => atMs >= second * 1000 && atMs < (second + 1) * 1000).length;
			expect(within).toBeGreaterThan(800);
			expect(within).toBeLessThan(1200);
		}
		const inOrder = told.filter(({ id }, index) => index > 0 && id === told[index - 1].id + 1).length;
		expect(inOrder).toBeLessThan(50);
	});

	it("keeps to a rate of less than one client per tick", async () => {
		const { run, now } = setup(10, { rate: 2, deadlineMs: 60_000 });
		await run;
		// The first at once, then one each half second.
		expect(now()).toBeGreaterThan(4400);
		expect(now()).toBeLessThan(4700);
	});

	it("exceeds the drain rate if that is necessary within half of the deadline", async () => {
		const { run, told, now } = setup(12_000, { rate: 100, deadlineMs: 2000 });
		await run;
		expect(told).toHaveLength(12_000);
		expect(now()).toBeLessThan(1200);
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

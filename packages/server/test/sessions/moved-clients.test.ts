import { CloseCode } from "@shardcast/wire";
import { expect, it } from "vitest";
import type { ClientSession } from "../../src/sessions/client-session.ts";
import { MovedClients } from "../../src/sessions/moved-clients.ts";

interface FakeClient {
	readonly id: string;
	moveCost: number | null;
	isGone: boolean;
	place: number;
	readonly transport: { getBufferedAmount(): number };
	close(code: number): void;
}

function setup(costs: Readonly<Record<string, number | null>>) {
	let nowMs = 0;
	const told: { readonly id: string; readonly atMs: number; readonly code: number }[] = [];
	const waiting: (() => void)[] = [];
	const clients = Object.entries(costs).map(([id, moveCost], place): FakeClient => {
		return {
			id,
			moveCost,
			isGone: false,
			place,
			transport: { getBufferedAmount: () => 0 },
			close(code) {
				told.push({ id, atMs: nowMs, code });
				this.isGone = true;
				this.place = -1;
			},
		};
	});
	const moved = new MovedClients({
		clients: () => clients as unknown as ClientSession[],
		nowMs: () => nowMs,
		pause: (ms) =>
			new Promise((resolve) =>
				waiting.push(() => {
					nowMs += ms;
					resolve();
				}),
			),
		random: () => 0.5,
		onError: (error) => {
			throw error;
		},
	});
	const rest = async () => {
		for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
			next();
			await new Promise((resolve) => setImmediate(resolve));
		}
	};
	return { moved, clients, told, rest };
}

it("those that lose least are asked, over a second, with their code", async () => {
	const { moved, told, rest } = setup({ raw: 1_000_000, lossy: 1000, none: 0, two: 2, one: 1 });
	expect(moved.move(3)).toBe(3);
	await rest();
	expect(told.map(({ id }) => id).toSorted()).toEqual(["none", "one", "two"]);
	expect(new Set(told.map(({ code }) => code))).toEqual(new Set([CloseCode.connectAgain]));
	const times = told.map(({ atMs }) => atMs);
	expect(Math.max(...times), "spread").toBeGreaterThan(500);
	expect(Math.max(...times), "within about a second").toBeLessThan(1100);
});

it("those in the middle of something stay, also when that begins after they were chosen", async () => {
	const { moved, clients, told, rest } = setup({ busy: null, soon: 1, free: 2 });
	expect(moved.move(5)).toBe(2);
	clients[1].moveCost = null;
	const first = told.map(({ id }) => id);
	await rest();
	expect(told.map(({ id }) => id)).not.toContain("busy");
	if (!first.includes("soon")) expect(told.map(({ id }) => id)).toEqual(["free"]);
});

it("those that were chosen before, and are still here, count: asking twice moves nobody twice", async () => {
	const { moved, told, rest } = setup({ a: 0, b: 0, c: 0, d: 0 });
	expect(moved.move(2), "one of them is gone at once").toBe(2);
	expect([moved.move(1), moved.move(0)]).toEqual([0, 0]);
	expect(moved.move(2), "one more").toBe(1);
	await rest();
	expect(told.length).toBe(3);
	expect([moved.move(1), moved.move(1)], "none is waiting any more; the last one goes at once").toEqual([1, 0]);
	await rest();
	expect(told.map(({ id }) => id).toSorted()).toEqual(["a", "b", "c", "d"]);
});

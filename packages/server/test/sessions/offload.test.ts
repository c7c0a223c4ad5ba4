import { CloseCode } from "@shardcast/wire";
import { expect, it } from "vitest";
import type { ClientSession } from "../../src/sessions/client-session.ts";
import { Offload } from "../../src/sessions/offload.ts";

interface FakeClient {
	readonly id: number;
	place: number;
	isGone: boolean;
	readonly moveCost: number | null;
	readonly transport: { getBufferedAmount(): number };
	close(code: number): void;
}

function setup(count: number, { rate = 1000, busy = [] as number[] } = {}) {
	let nowMs = 0;
	let told = 0;
	let stallMs = 0;
	let hasElsewhere = true;
	let wake: (() => void) | null = null;
	const closed: { readonly id: number; readonly atMs: number; readonly code: number }[] = [];
	const clients: FakeClient[] = [];
	const add = (id: number) =>
		clients.push({
			id,
			place: id,
			isGone: false,
			moveCost: busy.includes(id) ? null : 1,
			transport: { getBufferedAmount: () => 0 },
			close(code) {
				closed.push({ id, atMs: nowMs, code });
				this.isGone = true;
				this.place = -1;
				clients.splice(clients.indexOf(this), 1);
			},
		});
	for (let id = 0; id < count; id++) add(id);
	const offload = new Offload({
		clients: () => [...clients] as unknown as ClientSession[],
		clientsPerSecond: () => rate,
		haveElsewhere: () => hasElsewhere,
		onTold: () => told++,
		nowMs: () => nowMs,
		pause: (ms) =>
			new Promise((resolve) => {
				wake = () => {
					nowMs += ms + stallMs;
					stallMs = 0;
					resolve();
				};
			}),
		random: Math.random,
	});
	/** Lets time pass. */
	const pass = async (ms: number) => {
		const untilMs = nowMs + ms;
		while (nowMs < untilMs && wake !== null) {
			const next = wake;
			wake = null;
			next();
			await new Promise((resolve) => setImmediate(resolve));
		}
	};
	/** The process stands still during the next pause. */
	const stall = (ms: number) => {
		stallMs = ms;
	};
	/** Whether another shard takes clients. */
	const setElsewhere = (value: boolean) => {
		hasElsewhere = value;
	};
	return { offload, closed, add, pass, stall, setElsewhere, told: () => told, left: () => clients.length };
}

it("tells all clients, spread over time at the rate, and those that come later", async () => {
	const { offload, closed, add, pass, told, left } = setup(2000, { rate: 1000 });
	void offload.start(null);
	await pass(1000);
	// Four fifths of the rate.
	expect(told()).toBeGreaterThan(750);
	expect(told()).toBeLessThan(900);
	await pass(1900);
	expect([told(), left()]).toEqual([2000, 0]);
	expect(new Set(closed.map(({ code }) => code))).toEqual(new Set([CloseCode.goingAway]));
	add(2000);
	await pass(300);
	expect(closed.at(-1)?.id).toBe(2000);
	expect(offload.isOn).toBe(true);
	offload.stop();
	add(2001);
	await pass(1000);
	expect(left(), "after the end").toBe(1);
});

it("its own rate takes precedence, and it can be ended and begun again", async () => {
	const { offload, pass, told, left } = setup(1000, { rate: 1000 });
	void offload.start(100);
	await pass(1000);
	expect(told()).toBeLessThan(130);
	offload.stop();
	await pass(200);
	const before = left();
	await pass(1000);
	expect(left()).toBe(before);
	void offload.start(null);
	await pass(1500);
	expect(left()).toBe(0);
});

it("after a pause of the whole process, no burst follows", async () => {
	const { offload, pass, stall, told } = setup(3000, { rate: 1000 });
	void offload.start(null);
	await pass(200);
	const before = told();
	stall(2000);
	await pass(1);
	expect(told() - before, "clients told at once").toBeLessThanOrEqual(120);
});

it("a client in the middle of something finishes it, for at most five seconds", async () => {
	const { offload, closed, pass, left } = setup(3, { busy: [1] });
	void offload.start(null);
	await pass(4000);
	expect(left()).toBe(1);
	await pass(2000);
	expect(closed.at(-1)?.id).toBe(1);
	expect(closed.at(-1)!.atMs).toBeLessThan(5500);
});

it("while no other shard takes clients, nobody is told, and no burst follows", async () => {
	const { offload, pass, setElsewhere, told, left } = setup(1000, { rate: 1000 });
	void offload.start(null);
	await pass(200);
	setElsewhere(false);
	await pass(30);
	const before = told();
	await pass(2000);
	expect(told()).toBe(before);
	setElsewhere(true);
	await pass(200);
	expect(told() - before).toBeGreaterThan(0);
	expect(told() - before, "clients told at once").toBeLessThanOrEqual(220);
	await pass(1500);
	expect(left()).toBe(0);
});

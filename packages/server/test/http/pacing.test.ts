import { Scoreboard } from "@shardcast/scoreboard";
import { describe, expect, it } from "vitest";
import { Allowance } from "../../src/pacing/allowance.ts";
import { Pacing } from "../../src/pacing/pacing.ts";
import { Recently } from "../../src/pacing/recently.ts";
import type { ClientSession } from "../../src/sessions/client-session.ts";

const KiB = 1024;
const MiB = 1024 * KiB;
const bufferedBytesMax = MiB;
/** What the kernel takes for a client before the library has to keep anything; room is told again when a third of it is free. */
const kernelBytes = 4 * MiB;
const recordBytes = 32 * KiB;

/** A client as uWebSockets.js shows it, behind a kernel with large buffers. */
class FakeClient {
	readonly transport = this;
	leaving = 0;
	received = 0;
	/** Bytes that it reads in a millisecond, when it has that much. */
	bytesPerMs: number;
	#kernel = 0;
	#buffered = 0;
	readonly #onWritable: (client: ClientSession) => void;
	readonly #onDropped: (client: FakeClient) => void;

	constructor(bytesPerMs: number, onWritable: (client: ClientSession) => void, onDropped: (client: FakeClient) => void) {
		this.bytesPerMs = bytesPerMs;
		this.#onWritable = onWritable;
		this.#onDropped = onDropped;
	}

	getBufferedAmount(): number {
		return this.#buffered;
	}

	get unread(): number {
		return this.#kernel + this.#buffered;
	}

	send(bytes: number): void {
		if (this.leaving !== 0) return;
		if (this.#buffered > bufferedBytesMax) {
			this.leaving = 3008;
			this.#onDropped(this);
			return;
		}
		const taken = this.#buffered > 0 ? 0 : Math.min(bytes, kernelBytes - this.#kernel);
		this.#kernel += taken;
		this.#buffered += bytes - taken;
	}

	read(bytes: number): void {
		const read = Math.min(bytes, this.#kernel);
		this.#kernel -= read;
		this.received += read;
		if (this.#buffered === 0 || this.#kernel > (kernelBytes * 2) / 3) return;
		const written = Math.min(this.#buffered, kernelBytes - this.#kernel);
		this.#kernel += written;
		this.#buffered -= written;
		if (written > 0 && this.leaving === 0) this.#onWritable(this as unknown as ClientSession);
	}
}

/** A shard's clients and its rings, a millisecond at a time. */
class FakeShard {
	ms = 1000;
	turns = 0;
	/** In the rings. */
	backlog = 0;
	readonly clients: FakeClient[] = [];
	/** Closed with 3008. */
	readonly dropped: FakeClient[] = [];
	/** Milliseconds in which delivery waited, in a row at most, and all in all. */
	waitedMs = 0;
	waitedMsMax = 0;
	readonly row = Scoreboard.inMemory(1).row(0);
	readonly pacing = new Pacing({
		clients: () => this.clients as unknown as ClientSession[],
		bufferedBytesMax: () => bufferedBytesMax,
		ringBytes: 2 * MiB,
		counters: this.row,
		nowMs: () => this.ms,
	});
	#waitsMs = 0;
	readonly #isPaced: boolean;
	/** Bytes that all clients together read in a millisecond at most: they share a machine. */
	readonly #bytesPerMsMax: number;

	constructor({ isPaced = true, bytesPerMsMax = Number.POSITIVE_INFINITY } = {}) {
		this.#isPaced = isPaced;
		this.#bytesPerMsMax = bytesPerMsMax;
	}

	add(count: number, bytesPerMs: number): FakeClient[] {
		const added = Array.from({ length: count }, () => {
			return new FakeClient(
				bytesPerMs,
				(client) => this.pacing.writable(client),
				(client) => {
					this.dropped.push(client);
					this.pacing.forget(client as unknown as ClientSession);
				},
			);
		});
		this.clients.push(...added);
		return added;
	}

	/** @param publish bytes that come into the rings in each of the milliseconds; a ring that is full takes no more. */
	run(ms: number, publish = 0): void {
		for (let passed = 0; passed < ms; passed++) this.#millisecond(publish);
	}

	/** Publishes so much as fast as the rings take it, until no open client has anything unread. */
	burst(bytes: number, msMax = 60_000): number {
		const beganMs = this.ms;
		let left = bytes;
		while (
			left > 0 ||
			this.backlog > 0 ||
			this.clients.some((client) => client.leaving === 0 && client.bytesPerMs > 0 && client.unread > 0)
		) {
			const taken = Math.min(left, 2 * MiB - this.backlog);
			left -= taken;
			this.#millisecond(taken);
			if (this.ms - beganMs > msMax) throw new Error(`${left} bytes left after ${msMax} ms`);
		}
		return this.ms - beganMs;
	}

	#millisecond(publish: number): void {
		this.ms++;
		this.backlog = Math.min(2 * MiB, this.backlog + publish);
		// A few turns fit into a millisecond.
		for (let turn = 0; turn < 4 && this.backlog > 0; turn++) {
			if (this.#isPaced && this.pacing.mustWait(() => this.backlog)) {
				if (turn === 0) {
					this.waitedMs++;
					this.waitedMsMax = Math.max(this.waitedMsMax, ++this.#waitsMs);
				}
				break;
			}
			this.#waitsMs = 0;
			this.turns++;
			const bytes = Math.min(this.backlog, this.pacing.turnBytesMax);
			for (let sent = 0; sent < bytes; sent += recordBytes)
				for (const client of this.clients) client.send(Math.min(recordBytes, bytes - sent));
			this.backlog -= bytes;
			this.pacing.published(bytes);
		}
		// The machine serves one client after the other, each for a while.
		let left = this.#bytesPerMsMax;
		for (let count = 0; count < this.clients.length && left > 0; count++) {
			const client = this.clients[(this.ms + count) % this.clients.length]!;
			const bytes = Math.min(left, client.bytesPerMs, client.unread);
			client.read(bytes);
			left -= bytes;
		}
	}
}

describe("a burst of 64 MB to clients that read as fast as their machine can", () => {
	const burst = (count: number, isPaced: boolean, bytesPerMsMax: number) => {
		const shard = new FakeShard({ isPaced, bytesPerMsMax });
		shard.add(count, 256 * KiB);
		return { shard, tookMs: shard.burst(64 * MiB) };
	};

	it("without pacing it closes nearly all of them", () => {
		expect(burst(50, false, 2 * MiB).shard.dropped.length).toBeGreaterThan(40);
	});

	it.each([1, 3, 20, 50, 200])("reaches all of %s clients completely, as fast as they read", (count) => {
		const { shard, tookMs } = burst(count, true, 2 * MiB);
		expect(shard.dropped.length).toBe(0);
		expect(shard.clients.every(({ received }) => received === 64 * MiB)).toBe(true);
		const leastMs = Math.max((64 * MiB) / (256 * KiB), (count * 64 * MiB) / (2 * MiB));
		expect(tookMs).toBeLessThan(1.25 * leastMs + 20);
		expect(shard.row.get("clientsGivenUp")).toBe(0);
		expect(shard.row.get("deliveryWaitedMs")).toBeGreaterThan(0);
	});

	it("is counted: how often and how long delivery waited", () => {
		const { shard } = burst(50, true, 2 * MiB);
		expect(shard.row.get("deliveryWaits")).toBeGreaterThan(0);
		expect(Math.abs(shard.row.get("deliveryWaitedMs") - shard.waitedMs)).toBeLessThan(shard.row.get("deliveryWaits") + 1);
	});
});

describe("clients that do not read delay the others:", () => {
	it("a stalled one is closed, and costs less than a second, once", () => {
		const shard = new FakeShard();
		const fast = shard.add(100, 256 * KiB);
		const [stalled] = shard.add(1, 0);
		const aloneMs = 64 * 4;
		const tookMs = shard.burst(64 * MiB);
		expect(shard.dropped).toEqual([stalled]);
		expect(fast.every(({ received }) => received === 64 * MiB)).toBe(true);
		expect(tookMs - aloneMs).toBeLessThan(950);
		expect(shard.waitedMsMax).toBeLessThanOrEqual(850);
		expect(shard.row.get("clientsGivenUp")).toBe(1);
	});

	it("without a burst, nothing waits for it at all", () => {
		const shard = new FakeShard();
		shard.add(100, 256 * KiB);
		const [stalled] = shard.add(1, 0);
		shard.run(10_000, 2 * KiB);
		expect(shard.dropped).toEqual([stalled]);
		expect(shard.waitedMs).toBe(0);
	});

	it("many stalled ones, as after a network failure, cost a second and a half", () => {
		const shard = new FakeShard();
		const fast = shard.add(100, 256 * KiB);
		shard.add(60, 0);
		expect(shard.burst(64 * MiB)).toBeLessThan(64 * 4 + 1800);
		expect(shard.dropped.length).toBe(60);
		expect(fast.every(({ received }) => received === 64 * MiB)).toBe(true);
	});

	it("one that reads slowly costs at most three seconds plus a tenth of the time", { tags: ["long"] }, () => {
		const shard = new FakeShard();
		// They are never behind: what waits, waits for the slow one.
		const fast = shard.add(20, 2 * MiB);
		const [slow] = shard.add(1, 16 * KiB);
		shard.run(10_000, 2 * MiB);
		expect(shard.waitedMs).toBeGreaterThan(300);
		expect(shard.waitedMs).toBeLessThan(1.1 * (3000 + 1000) + 500);
		expect(shard.dropped).toEqual([slow]);
		expect(fast.every(({ leaving }) => leaving === 0)).toBe(true);
	});

	it("it costs no more when several take turns at reading slowly", { tags: ["long"] }, () => {
		const shard = new FakeShard();
		const fast = shard.add(40, 2 * MiB);
		const slow = shard.add(3, 0);
		for (let round = 0; round < 100; round++) {
			slow.forEach((client, index) => {
				client.bytesPerMs = (index + round) % 3 === 0 ? 8 * KiB : 2 * MiB;
			});
			shard.run(100, 2 * MiB);
		}
		expect(shard.waitedMs).toBeGreaterThan(300);
		expect(shard.waitedMs).toBeLessThan(1.2 * (3000 + 1000) + 500);
		expect(fast.every(({ leaving }) => leaving === 0)).toBe(true);
	});

	it("when most read slowly, they set the pace, and messages keep going out", { tags: ["long"] }, () => {
		const shard = new FakeShard();
		const slow = shard.add(100, 4 * KiB);
		const turns: number[] = [];
		for (let round = 0; round < 20; round++) {
			const before = shard.turns;
			shard.run(2100, 2 * MiB);
			turns.push(shard.turns - before);
		}
		expect(Math.min(...turns)).toBeGreaterThan(0);
		expect(shard.dropped.length).toBe(0);
		expect(slow[0]!.received).toBeGreaterThan(0.9 * 20 * 2100 * 4 * KiB);
	});

	it("one that has been closed is not waited for", () => {
		const shard = new FakeShard();
		const [one] = shard.add(1, 0);
		one!.send(kernelBytes + bufferedBytesMax);
		shard.pacing.published(MiB);
		expect(shard.pacing.mustWait(() => MiB)).toBe(true);
		shard.pacing.forget(one as unknown as ClientSession);
		expect(shard.pacing.mustWait(() => MiB)).toBe(false);
	});

	it("one that was given up is waited for again once it has read", () => {
		const shard = new FakeShard();
		const [one] = shard.add(1, 0);
		const waits = () => {
			shard.pacing.published(MiB);
			shard.ms++;
			return shard.pacing.mustWait(() => MiB);
		};
		one!.send(kernelBytes + 0.6 * MiB);
		expect(waits()).toBe(true);
		for (let ms = 0; ms < 3000; ms++) waits();
		expect(waits()).toBe(false);
		one!.read(2 * MiB);
		expect(waits()).toBe(false);
		one!.send(2 * MiB);
		expect(waits()).toBe(true);
	});
});

describe("the bytes of a turn", () => {
	it("are a quarter of --max-buffered, and fewer with thousands of clients, so that the loop keeps turning", () => {
		const shard = new FakeShard();
		shard.add(100, 1);
		expect(shard.pacing.turnBytesMax).toBe(256 * KiB);
		shard.add(5900, 1);
		expect(shard.pacing.turnBytesMax * 6000).toBeLessThanOrEqual(128 * MiB);
	});
});

describe("a time allowance", () => {
	it("is a fixed amount at once, and a share of the time in the long run", () => {
		const allowance = new Allowance(1000, 0.1);
		expect(allowance.leftMs(0)).toBe(1000);
		allowance.spend(700);
		expect(allowance.leftMs(0)).toBe(300);
		allowance.spend(400);
		expect(allowance.leftMs(0)).toBe(-100);
		expect(allowance.leftMs(1000)).toBeCloseTo(0);
		// Spent a little at a time, it is no more than that.
		let spentMs = 0;
		for (let ms = 1001; ms <= 11_000; ms++) {
			if (allowance.leftMs(ms) <= 0) continue;
			allowance.spend(1);
			spentMs++;
		}
		expect(spentMs).toBeLessThanOrEqual(1000);
		expect(allowance.leftMs(1_000_000)).toBe(1000);
	});
});

describe("a recently seen value", () => {
	it("is forgotten after one to two windows, and counted once", () => {
		const recently = new Recently<string>(100);
		recently.advance(0);
		for (const thing of ["a", "b", "a"]) recently.saw(thing);
		expect(recently.count).toBe(2);
		recently.advance(150);
		recently.saw("c");
		expect(recently.count).toBe(2);
		recently.advance(250);
		expect(recently.count).toBe(1);
		recently.saw("d");
		recently.advance(600);
		expect(recently.count).toBe(0);
		recently.saw("e");
		recently.forget("e");
		expect(recently.count).toBe(0);
	});
});

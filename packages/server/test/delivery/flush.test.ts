import type { RecordSource } from "@shardcast/bus";
import { MemoryBus } from "@shardcast/bus";
import { Scoreboard } from "@shardcast/scoreboard";
import { describe, expect, it } from "vitest";
import { FlushEngine, type Scheduler } from "../../src/delivery/flush.ts";
import { FlushPolicy } from "../../src/delivery/flush-policy.ts";

/** A loop whose time passes when told: first all immediates of a turn, then what a timer has due. */
class FakeLoop implements Scheduler {
	ms = 1000;
	turns = 0;
	#soon: (() => void)[] = [];
	#timers: { atMs: number; callback: () => void }[] = [];

	nowMs = (): number => this.ms;
	soon = (callback: () => void): void => void this.#soon.push(callback);
	later = (callback: () => void, afterMs: number): void => void this.#timers.push({ atMs: this.ms + afterMs, callback });

	/** One turn; false when there was nothing to do. */
	turn(): boolean {
		const due = this.#timers.filter(({ atMs }) => atMs <= this.ms);
		this.#timers = this.#timers.filter(({ atMs }) => atMs > this.ms);
		const soon = this.#soon.splice(0);
		for (const callback of [...due.map((timer) => timer.callback), ...soon]) callback();
		this.turns++;
		return due.length + soon.length > 0;
	}

	/** Turns until only timers are left. */
	settle(): void {
		for (let turns = 0; this.turn(); turns++) if (turns > 10_000) throw new Error("the loop never comes to rest");
	}

	pass(ms: number): void {
		this.ms += ms;
		this.settle();
	}

	get timers(): number {
		return this.#timers.length;
	}
}

interface Setup {
	readonly batch?: number;
	readonly turnBytesMax?: number;
	readonly flushTakesMs?: number;
	readonly pauseMsMax?: number;
	readonly holds?: () => boolean;
	/** Whether there are clients. */
	readonly hasPublished?: () => boolean;
	/** Whether clients have to read before the next turn. */
	readonly mustWait?: (backlogBytes: number) => boolean;
}

function setup({
	batch = 64,
	turnBytesMax = 1e6,
	flushTakesMs = 0,
	pauseMsMax = 10,
	holds = () => false,
	hasPublished = () => true,
	mustWait = () => false,
}: Setup = {}) {
	const published: number[] = [];
	const loop = new FakeLoop();
	const bus = new MemoryBus({ members: 2, capacityBytes: 65_536 });
	const link = bus.link(0);
	const other = bus.link(1);
	const row = Scoreboard.inMemory(1).row(0);
	const delivered: string[] = [];
	const atMs: number[] = [];
	let perTurn = 0;
	const turns: number[] = [];
	/** For each turn: what was delivered by its end, and the loop's turn that it ended in. */
	const afterTurns: [delivered: number, loopTurn: number][] = [];
	const urgent = { records: 0 };
	let rings = 0;
	const engine = new FlushEngine({
		bus: {
			read: (max, visit, bytesMax) => link.read(max, visit, bytesMax),
			ahead: (visit) => link.ahead(visit),
			hasRecords: () => link.hasRecords(),
			sleep: () => link.sleep(),
			awake: () => link.awake(),
			backlogBytes: () => link.backlogBytes(),
			capacityBytes: link.capacityBytes,
			ringWaiters: () => {
				rings++;
				link.ringWaiters();
			},
		},
		policy: new FlushPolicy({ pauseMsMax, pauseRatio: 1 }),
		counters: row,
		deliver: (_origin, u8, _view, start, end) => {
			delivered.push(Buffer.from(u8.subarray(start, end)).toString());
			atMs.push(loop.ms);
			perTurn++;
			loop.ms += flushTakesMs;
		},
		deliverAhead: (_origin, u8, _view, start, end) => {
			const text = Buffer.from(u8.subarray(start, end)).toString();
			if (text.startsWith("!")) delivered.push(`ahead ${text}`);
			return text.startsWith("!");
		},
		urgentRecords: () => urgent.records,
		deliverIngested: (_origin, u8, _view, start, end) => delivered.push(`ingested ${Buffer.from(u8.subarray(start, end))}`),
		beforeTurn: () => {
			turns.push(perTurn);
			perTurn = 0;
		},
		afterTurn: () => void afterTurns.push([delivered.length, loop.turns]),
		hasPublished: () => hasPublished(),
		afterFlush: () => {},
		holds,
		batch,
		pacing: {
			turnBytesMax,
			mustWait: (backlogBytes) => mustWait(backlogBytes()),
			published: (bytes) => void published.push(bytes),
		},
		scheduler: loop,
	});
	const put = (text: string, from = link): void => {
		const bytes = Buffer.from(text);
		from.u8.set(bytes, from.claim(bytes.length));
		from.commit();
	};
	const publish = (text: string): void => {
		put(text);
		engine.committed();
	};
	link.onWake(() => engine.wake());
	engine.start();
	loop.settle();
	return { loop, engine, link, other, row, delivered, atMs, turns, afterTurns, urgent, put, publish, published, rings: () => rings };
}

/** A source with so many records "x". @param ringBytes how many bytes each takes in its ring. */
function sourceOf(records: number, ringBytes = 1): RecordSource {
	let waiting = records;
	return {
		read: (max, visit, bytesMax = Number.POSITIVE_INFINITY) => {
			const count = Math.min(max, waiting, Math.ceil(bytesMax / ringBytes));
			waiting -= count;
			const bytes = new Uint8Array(Buffer.from("x"));
			for (let index = 0; index < count; index++) visit(-1, bytes, new DataView(bytes.buffer), 0, 1);
			return count;
		},
		hasRecords: () => waiting > 0,
		fill: () => 0,
		sleep: () => waiting === 0,
	};
}

describe("the flush engine", () => {
	it("flushes a lone message in the same turn of the loop, and then sleeps without a timer", () => {
		const { loop, publish, delivered } = setup();
		publish("a");
		loop.turn();
		expect(delivered).toEqual(["a"]);
		loop.settle();
		expect(loop.timers).toBe(0);
	});

	it("delivers records of high priority at the start of the next turn, before those that wait in any ring, and looks for them only then", () => {
		const { loop, engine, delivered, put, other, urgent } = setup({ batch: 2 });
		for (const text of ["a", "b", "c", "!d", "e"]) put(text);
		put("!f", other);
		urgent.records = 2;
		engine.committed();
		loop.settle();
		expect(delivered.slice(0, 2).sort()).toEqual(["ahead !d", "ahead !f"]);
		expect(delivered.slice(2).sort(), "deliver skips these two").toEqual(["!d", "!f", "a", "b", "c", "e"]);
		put("!g");
		engine.committed();
		loop.settle();
		expect(delivered.slice(8), "nobody has said so").toEqual(["!g"]);
	});

	it("delivers no more ahead in one turn than a turn may have, and the rest at the head of the next ones", () => {
		const { loop, engine, delivered, turns, put, urgent } = setup({ batch: 3 });
		for (let index = 0; index < 7; index++) put(`!${index}`);
		urgent.records = 7;
		engine.committed();
		loop.settle();
		const ahead = delivered.filter((text) => text.startsWith("ahead"));
		expect(ahead).toEqual([0, 1, 2, 3, 4, 5, 6].map((index) => `ahead !${index}`));
		expect(delivered.indexOf("ahead !3"), "after the records of the first turn").toBeGreaterThan(delivered.indexOf("!2"));
		expect(turns.length).toBeGreaterThan(2);
	});

	it("merges messages that arrive while it pauses, and pauses about as long as a flush takes", () => {
		const { loop, publish, delivered, atMs, row } = setup({ flushTakesMs: 4 });
		publish("first");
		loop.settle();
		const endedMs = loop.ms;
		for (const name of ["a", "b", "c"]) publish(name);
		loop.settle();
		expect(delivered).toEqual(["first"]);
		loop.pass(3);
		expect(delivered, "the pause is 4 ms").toEqual(["first"]);
		loop.pass(1);
		expect(delivered).toEqual(["first", "a", "b", "c"]);
		expect(atMs[1] - endedMs).toBe(4);
		expect(row.get("flushes")).toBe(2);
		expect(row.get("recordsRead")).toBe(4);
		expect(row.get("flushIntervalMs")).toBe(10);
		expect(row.histograms.flushRecords.read().count).toBe(2);
	});

	it("does not pause with --flush-max 0", () => {
		const { loop, publish, delivered } = setup({ flushTakesMs: 4, pauseMsMax: 0 });
		publish("first");
		loop.settle();
		publish("second");
		loop.turn();
		expect(delivered).toEqual(["first", "second"]);
	});

	it("takes at most --batch records a turn and lets the loop run in between", () => {
		const { loop, put, engine, delivered, turns } = setup({ batch: 10 });
		for (let index = 0; index < 35; index++) put(`${index}`);
		engine.committed();
		const turnsBefore = loop.turns;
		loop.settle();
		expect(delivered).toHaveLength(35);
		expect(Math.max(...turns)).toBe(10);
		expect(loop.turns - turnsBefore).toBeGreaterThanOrEqual(4);
	});

	it("ends a turn after a limited number of bytes, so that they are written before the next ones", () => {
		const { loop, put, engine, delivered, turns } = setup({ turnBytesMax: 10_000 });
		for (let count = 0; count < 30; count++) put("x".repeat(1500));
		engine.committed();
		loop.settle();
		expect(delivered).toHaveLength(30);
		expect(Math.max(...turns)).toBe(7);
	});

	it("exceeds a turn's bytes by one record at most, however large those are that come behind small ones", () => {
		const { loop, put, engine, turns } = setup({ turnBytesMax: 4000 });
		for (const large of [1, 4, 2]) {
			for (let count = 0; count < 3; count++) put("x".repeat(100));
			for (let count = 0; count < large; count++) put("x".repeat(4000));
		}
		engine.committed();
		loop.settle();
		expect(turns.filter((count) => count > 0)).toEqual([4, 4, 1, 1, 1, 4, 1]);
	});

	it("tells of each turn's end in the same turn of the loop", () => {
		const { loop, put, engine, afterTurns } = setup({ batch: 2 });
		loop.settle();
		afterTurns.length = 0;
		for (let count = 0; count < 3; count++) put("x");
		engine.committed();
		loop.turn();
		loop.turn();
		expect(afterTurns.map(([count]) => count)).toEqual([2, 3]);
		expect(afterTurns[1]![1] - afterTurns[0]![1]).toBe(1);
	});

	it("fills its turn from a source that counts more bytes than it delivers, and so ends its reads earlier", () => {
		const { loop, engine, delivered } = setup({ turnBytesMax: 100 });
		loop.settle();
		engine.addSource(sourceOf(50, 10));
		loop.turn();
		expect(delivered).toHaveLength(50);
	});

	it("waits while clients are behind: reads nothing from the rings, but wakes the others and does what is due each turn", () => {
		const backlogs: number[] = [];
		let waits = true;
		const { loop, publish, delivered, published, row, turns, rings } = setup({
			mustWait: (backlogBytes) => {
				backlogs.push(backlogBytes);
				return waits;
			},
		});
		const [before, turnsBefore] = [rings(), turns.length];
		publish("a");
		for (let ms = 0; ms < 50; ms++) loop.pass(1);
		expect({ delivered, rung: rings() - before }).toEqual({ delivered: [], rung: 1 });
		expect(turns.length - turnsBefore).toBeGreaterThan(40);
		expect(backlogs.at(-1)).toBeGreaterThan(0);
		waits = false;
		loop.pass(1);
		expect(delivered).toEqual(["a"]);
		expect(published.reduce((sum, bytes) => sum + bytes, 0)).toBe(1);
		// What the clients took is not taken for the cost of the flush, or a pause would follow.
		expect(row.get("flushIntervalMs")).toBeLessThan(6);
	});

	it("reads the other members' records when they ring, and rings them once per turn for everything it published", () => {
		const { loop, put, other, delivered, publish, rings } = setup();
		put("from the other", other);
		other.ringWaiters();
		return new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
			loop.settle();
			expect(delivered).toEqual(["from the other"]);
			const before = rings();
			for (let index = 0; index < 20; index++) publish(`${index}`);
			loop.settle();
			expect(rings() - before).toBe(1);
		});
	});

	it("rings the others at once, even while its own flush waits", () => {
		const { loop, publish, rings } = setup({ flushTakesMs: 8 });
		publish("first");
		loop.settle();
		const before = rings();
		publish("second");
		loop.turn();
		expect(rings() - before).toBe(1);
	});

	it("cuts its pause short when the ring is full, once", () => {
		const { loop, engine, publish, delivered } = setup({ flushTakesMs: 8 });
		publish("first");
		loop.settle();
		publish("second");
		engine.hurry();
		engine.hurry();
		loop.turn();
		expect(delivered).toEqual(["first", "second"]);
		publish("third");
		loop.settle();
		loop.pass(7);
		expect(delivered, "the timer of the pause that was cut short does not end the next one").toHaveLength(2);
		loop.pass(3);
		expect(delivered).toHaveLength(3);
	});

	it("does not pause when a quarter of a ring had come together", () => {
		const { loop, put, engine, publish, delivered } = setup({ flushTakesMs: 1 });
		const large = "x".repeat(4000);
		for (let count = 0; count < 5; count++) put(large);
		engine.committed();
		loop.settle();
		publish("next");
		loop.turn();
		expect(delivered.at(-1)).toBe("next");
	});

	it("reads other sources in the same turns, and checks all of them before it sleeps", () => {
		const { loop, engine, delivered } = setup({ batch: 3 });
		const waiting = ["x", "y", "z", "last"];
		let slept = 0;
		const source: RecordSource = {
			read: (max, visit) => {
				const now = waiting.splice(0, max);
				for (const text of now) {
					const bytes = new Uint8Array(Buffer.from(text));
					visit(-1, bytes, new DataView(bytes.buffer), 0, bytes.length);
				}
				return now.length;
			},
			hasRecords: () => waiting.length > 0,
			fill: () => 0,
			sleep: () => {
				slept++;
				return waiting.length === 0;
			},
		};
		engine.addSource(source);
		loop.settle();
		expect(delivered).toEqual(["x", "y", "z", "last"].map((text) => `ingested ${text}`));
		expect(slept).toBeGreaterThan(0);
		waiting.push("again");
		engine.wake();
		loop.settle();
		expect(delivered.at(-1)).toBe("ingested again");
		engine.removeSource(source);
		waiting.push("nobody drains this");
		engine.wake();
		loop.settle();
		expect(waiting).toHaveLength(1);
	});

	it("counts the contents of a source as something that clients have to read", () => {
		const backlogs: number[] = [];
		const { loop, engine } = setup({ mustWait: (backlogBytes) => backlogs.push(backlogBytes) < 0 });
		loop.settle();
		expect(backlogs.at(-1) ?? 0).toBe(0);
		engine.addSource({ read: () => 0, hasRecords: () => false, fill: () => 0.5, sleep: () => true });
		loop.settle();
		expect(backlogs.at(-1)).toBeGreaterThan(0);
	});

	it("does not pause while a source is full: its writer would be blocked meanwhile", () => {
		const { loop, engine, publish, row } = setup({ flushTakesMs: 4 });
		let fill = 1;
		engine.addSource({ read: () => 0, hasRecords: () => false, fill: () => fill, sleep: () => true });
		loop.settle();
		publish("first");
		loop.settle();
		expect(row.get("flushIntervalMs")).toBe(0);
		fill = 0;
		publish("second");
		loop.settle();
		expect(row.get("flushIntervalMs")).toBeGreaterThan(0);
	});

	it("lets no ring starve another: a source is read even when the bus alone could fill every turn", () => {
		const { loop, engine, put, delivered } = setup({ batch: 4 });
		engine.addSource(sourceOf(3));
		for (let turns = 0; turns < 5; turns++) {
			for (let index = 0; index < 8; index++) put("bus");
			engine.committed();
			loop.turn();
		}
		expect(delivered.filter((text) => text === "ingested x")).toHaveLength(3);
		expect(delivered.filter((text) => text === "bus").length).toBeGreaterThan(8);
	});

	it("retries held messages about every millisecond, since nobody rings when there is space", () => {
		let holds = true;
		const { loop, turns, publish } = setup({ holds: () => holds });
		publish("a");
		loop.settle();
		const before = turns.length;
		for (let ms = 0; ms < 10; ms++) loop.pass(1);
		expect(turns.length - before).toBeGreaterThanOrEqual(5);
		holds = false;
		loop.pass(1);
		loop.settle();
		const after = turns.length;
		for (let ms = 0; ms < 10; ms++) loop.pass(1);
		expect(turns.length).toBe(after);
	});

	it("says when everything present has been delivered, even while more keeps arriving", async () => {
		const { loop, engine, publish, delivered } = setup({ flushTakesMs: 5 });
		await engine.whenEmpty();
		publish("a");
		loop.turn();
		expect(delivered).toEqual(["a"]);
		// The last turn of that flush is over: this one is left for the next.
		publish("b");
		let empty = false;
		const waiting = engine.whenEmpty().then(() => {
			empty = true;
		});
		for (let turns = 0; turns < 3; turns++) loop.turn();
		await Promise.resolve();
		expect({ empty, delivered }).toEqual({ empty: false, delivered: ["a"] });
		loop.ms += 20;
		for (let turns = 0; turns < 3; turns++) {
			loop.turn();
			publish("more");
		}
		await waiting;
		expect(delivered[1]).toBe("b");
	});

	it("does nothing once it has stopped", async () => {
		const { loop, engine, publish, delivered } = setup();
		publish("a");
		const waiting = engine.whenEmpty();
		engine.stop();
		await waiting;
		loop.settle();
		publish("b");
		loop.settle();
		expect(delivered).toEqual([]);
	});

	describe("without clients", () => {
		const turnsFor = (hasPublished: () => boolean) => {
			const { loop, publish, delivered } = setup({ hasPublished });
			publish("a");
			const before = loop.turns;
			loop.settle();
			expect(delivered).toEqual(["a"]);
			return loop.turns - before;
		};

		it("sleeps after one turn of the loop: there is no write to wait for", () => {
			// The last one finds nothing to do.
			expect([turnsFor(() => true), turnsFor(() => false)]).toEqual([3, 2]);
		});

		it("starts the next flush at once: a pause would save no write", () => {
			for (const [hasPublished, timers] of [
				[true, 1],
				[false, 0],
			] as const) {
				const { loop, publish } = setup({ hasPublished: () => hasPublished, flushTakesMs: 5 });
				publish("a");
				loop.settle();
				expect(loop.timers).toBe(timers);
			}
		});

		it("is not woken again by its own record", () => {
			const { loop, publish, link } = setup({ hasPublished: () => false });
			let isAwake = false;
			link.onWake(() => {
				isAwake = true;
			});
			publish("a");
			expect(link.overslept(), "nobody has to wake it").toBe(false);
			loop.settle();
			return new Promise<void>((resolve) => {
				setImmediate(() => {
					expect(isAwake).toBe(false);
					resolve();
				});
			});
		});

		it("gives the loop a turn between two checks, however much arrives meanwhile", () => {
			let more = () => {};
			const { loop, publish, put, delivered, other, engine } = setup({
				hasPublished: () => {
					more();
					return false;
				},
			});
			let come = 0;
			more = () => {
				if (++come <= 20) put(String(come), other);
			};
			publish("0");
			const perTurn: number[] = [];
			for (let turn = 0; turn < 21; turn++) {
				const before = delivered.length;
				loop.turn();
				perTurn.push(delivered.length - before);
			}
			expect(perTurn).toEqual(Array(21).fill(1));
			// Asleep: it is woken by whoever publishes.
			loop.settle();
			put("last", other);
			engine.wake();
			loop.settle();
			expect(delivered.at(-1)).toBe("last");
		});

		it("tells those who wait that the rings are empty, and retries held messages", async () => {
			let holds = true;
			const { loop, publish, engine } = setup({ hasPublished: () => false, holds: () => holds });
			publish("a");
			let isEmpty = false;
			void engine.whenEmpty().then(() => {
				isEmpty = true;
			});
			loop.settle();
			await Promise.resolve();
			expect(isEmpty).toBe(false);
			expect(loop.timers).toBe(1);
			holds = false;
			loop.pass(1);
			loop.settle();
			await Promise.resolve();
			expect(isEmpty).toBe(true);
		});
	});
});

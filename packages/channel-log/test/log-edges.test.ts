import { randomBytes } from "node:crypto";
import { MemoryBus } from "@shardcast/bus";
import type { PublishResult } from "@shardcast/wire";
import { describe, expect, it } from "vitest";
import type { Position, PublishOptions } from "../src/broker.ts";
import { ChannelLog } from "../src/channel-log.ts";
import { ChannelNames } from "../src/channel-names.ts";
import { HeaderWord, LogLayout } from "../src/memory/log-descriptor.ts";
import { createLogBuffers, openLogBuffers } from "../src/memory/log-files.ts";
import { holderOf, tryLock, unlock } from "../src/memory/log-lock.ts";
import { attachLog } from "../src/memory/log-memory.ts";
import { createLogRecordHead } from "../src/records/log-record.ts";
import { ChannelTable } from "../src/tables/channel-table.ts";
import { IdempotencyTable } from "../src/tables/idempotency-table.ts";
import { bytes, historyOf, kept, put, Rig, shown, smallBytes, text } from "./fixtures.ts";
import { Visited } from "./visited.ts";

const filler = "#".repeat(1000);

describe("a log that is full", () => {
	it("refuses while a reader is behind, loses nothing, and goes on when it has read", () => {
		const rig = new Rig();
		const log = rig.member();
		const [slow, fast] = [log.reader(3), log.reader(4)];
		const visited = { slow: new Visited(slow), fast: new Visited(fast) };
		let sent = 0;
		while (log.publish("channel", bytes(`${sent} ${filler}`), kept).outcome === "accepted") sent++;
		expect(sent).toBeGreaterThan(25);
		visited.fast.read();
		expect(log.publish("channel", bytes(`refused ${filler}`), kept)).toEqual({ outcome: "full", reason: "readers" });
		expect(log.counter("fullReaders")).toBe(2);
		expect(slow.fill()).toBeGreaterThan(0.9);
		visited.slow.read(slow, 5);
		for (let n = 0; n < 5; n++) put(log, "channel", `${sent++} ${filler}`);
		expect(log.publish("channel", bytes(filler), kept).outcome).toBe("full");
		slow.leave();
		put(log, "channel", "last");
		visited.fast.read();
		expect(visited.fast.of("channel").length).toBe(sent + 1);
		expect(visited.slow.of("channel")).toEqual(visited.fast.of("channel").slice(0, 5));
		expect([slow.read(10, () => {}), slow.hasRecords(), slow.fill()]).toEqual([0, false, 0]);
	});

	it("is not held up by a dead reader once the keeper knows of its death, and a successor reads from then on", () => {
		const rig = new Rig();
		const log = rig.member();
		log.reader(3);
		while (log.publish("channel", bytes(filler), kept).outcome === "accepted");
		rig.keeper.memberDied(3, 1);
		for (let n = 0; n < 100; n++) put(log, "channel", filler);
		const visited = new Visited(log.reader(3));
		put(log, "channel", "for the successor");
		visited.read();
		expect(visited.of("channel").map((line) => line.split(":")[1])).toEqual(["for the successor"]);
	});

	it("ends a read after the record with which it has visited so many bytes, over all logs together", () => {
		const rig = new Rig();
		const log = rig.member();
		const reader = log.reader(3);
		for (let n = 0; n < 40; n++) put(log, `channel ${n}`, filler);
		expect(reader.read(100, () => {}, 2 * filler.length + 500)).toBe(3);
		expect(reader.read(100, () => {}, 1)).toBe(1);
		expect(reader.read(100, () => {})).toBe(36);
	});

	it("gives back less history than there should be, and counts that", () => {
		const rig = new Rig();
		const log = rig.member();
		for (let n = 0; n < 200; n++) put(log, "channel", `${n} ${filler}`);
		const { publications, position } = log.history("channel")!;
		expect(position.offset).toBe(200);
		expect(publications.length).toBeGreaterThan(25);
		expect(publications.length).toBeLessThan(60);
		expect(publications[0]!.previousOffset).toBe(200 - publications.length);
		expect(log.counter("evictedReads")).toBe(1);
		// Whoever needs no more than is there is not counted.
		log.history("channel", { reverse: true, limit: 10 });
		log.history("channel", { since: { offset: 190, epoch: position.epoch } });
		expect(log.counter("evictedReads")).toBe(1);
	});

	it("what is written over while it is copied is left out, and so is everything older", { tags: ["long"] }, () => {
		const rig = new Rig();
		const log = rig.member(0);
		let copies = 0;
		let atCopy = -1;
		// Another process publishes in the middle of a copy, more than a lap.
		const memories = rig.memories.map((memory) => ({
			...memory,
			u8: new Proxy(memory.u8, {
				get(target, name) {
					const value = Reflect.get(target, name, target);
					if (name !== "subarray") return typeof value === "function" ? value.bind(target) : value;
					return (start: number, end: number) => {
						if (copies++ === atCopy) for (let n = 0; n < 30; n++) put(log, "channel", `${count++} ${filler}`);
						return target.subarray(start, end);
					};
				},
			}),
		}));
		const reading = rig.member(1, 1, memories);
		let count = 0;
		for (let n = 0; n < 60; n++) put(log, "channel", `${count++} ${filler}`);
		for (const reverse of [false, true])
			for (atCopy = 0; atCopy < 30; atCopy++) {
				copies = 0;
				const { publications, position } = reading.history("channel", { reverse })!;
				for (const { offset, data } of publications) expect(text(data)).toBe(`${offset - 1} ${filler}`);
				const offsets = publications.map(({ offset }) => offset);
				if (reverse) offsets.reverse();
				expect(offsets).toEqual(offsets.map((_, at) => position.offset - offsets.length + 1 + at));
				expect(offsets.length).toBeLessThan(40);
			}
	});

	it("takes a record of up to half of its data, and says so of a longer one", () => {
		const rig = new Rig();
		const log = rig.member();
		const max = rig.memories[0]!.recordBytesMax;
		const fits = Number(
			/the most is (\d+): give more --history-memory/.exec(detailOf(log.publish("channel", new Uint8Array(max), kept)))![1],
		);
		for (let n = 0; n < 20; n++) put(log, "channel", "x".repeat(fits));
		expect(detailOf(log.publish("channel", new Uint8Array(fits + 1), kept))).toContain(`a publication of ${fits + 1} bytes`);
		expect(log.history("channel")!.publications.every(({ data }) => data.length === fits)).toBe(true);
	});

	it("refuses when the machine has no memory left, and goes on when it has", () => {
		const buffers = createLogBuffers({ memoryBytes: 8 * 2 ** 20 });
		let granted = 0;
		for (const buffer of buffers) new Int32Array(buffer)[LogLayout.reservedOffset >> 2] = 0;
		const memories = buffers.map((buffer) => attachLog(buffer, (wanted) => wanted <= granted));
		const log = new ChannelLog(memories, { slot: 0, incarnation: 1 });
		expect(log.publish("channel", bytes("x"), kept)).toEqual({ outcome: "full", reason: "memory" });
		granted = 262_143;
		expect(log.publish("channel", bytes("x"), kept).outcome).toBe("full");
		granted = 524_288;
		put(log, "channel", "x");
		let sent = 1;
		while (log.publish("channel", bytes(filler), kept).outcome === "accepted") sent++;
		expect(sent).toBeGreaterThan(30);
		expect(sent).toBeLessThan(300);
		expect(log.counter("fullMemory")).toBe(3);
		granted = Number.POSITIVE_INFINITY;
		for (let n = 0; n < 2000; n++) put(log, "channel", filler);
	});
});

describe("the lock of a log", () => {
	it("is not waited for: whoever publishes meanwhile is told to try again, readers read", () => {
		const rig = new Rig();
		const log = rig.member(0);
		put(log, "channel", "a");
		for (const memory of rig.memories) tryLock(memory, holderOf(5, 1));
		expect(log.publish("channel", bytes("b"), kept)).toEqual({ outcome: "full", reason: "locked" });
		expect(log.removeHistory("channel")).toBe(false);
		expect(historyOf(log, "channel")).toEqual(["1:a"]);
		expect(log.counter("fullLocked")).toBe(1);
		expect(rig.keeper.memberDied(5, 2)).toBe(0);
		expect(log.publish("channel", bytes("b"), kept).outcome).toBe("full");
		expect(rig.keeper.memberDied(5, 1)).toBe(8);
		put(log, "channel", "b");
	});

	it("is held for too long only by a hold that goes on, not by many short ones", () => {
		const rig = new Rig();
		const [first, second] = rig.memories as [(typeof rig.memories)[0], (typeof rig.memories)[0]];
		tryLock(first, holderOf(1, 1));
		for (let look = 0; look < 20; look++) {
			tryLock(second, holderOf(2, 7));
			const held = rig.keeper.heldLocks(100, 1000);
			unlock(second);
			// It counts from the first look that saw it.
			expect(held).toEqual(look <= 10 ? [] : [{ log: 0, slot: 1, heldMs: look * 100 }]);
		}
		unlock(first);
		expect(rig.keeper.heldLocks(100, 1000)).toEqual([]);
	});
});

describe("more than there is room for", () => {
	it("of channels: the one that was used least recently loses its row, is counted, and comes back with another epoch", {
		tags: ["long"],
	}, () => {
		const rig = new Rig();
		const log = rig.member();
		const first = log.publish("first", bytes("x"), kept);
		const rows = rig.memories.reduce((sum, memory) => sum + memory.rows, 0);
		for (let n = 0; n < rows * 3; n++) {
			rig.clock.nowMs += 1;
			put(log, `channel-${n}`, "x");
			// One that is read stays.
			if (n % 8 === 0) expect(log.position("channel-0")!.offset).toBe(1);
		}
		expect(log.counter("evictedChannels")).toBeGreaterThan(rows);
		const { position, publications } = log.history("first")!;
		expect([position.offset, publications]).toEqual([0, []]);
		const again = log.publish("first", bytes("y"), kept);
		expect(again.outcome).toBe("accepted");
		if (first.outcome !== "accepted" || again.outcome !== "accepted") return;
		expect(again.position.offset).toBe(1);
		expect(again.position.epoch).not.toBe(first.position.epoch);
		expect(historyOf(log, "first")).toEqual(["1:y"]);
	});

	it("of channels, again and again: none ever comes back to an epoch that it had", { tags: ["long"] }, () => {
		const rig = new Rig();
		const log = rig.member();
		const rows = rig.memories.reduce((sum, memory) => sum + memory.rows, 0);
		const had = new Map<string, Set<string>>();
		const now = new Map<string, string>();
		let comebacks = 0;
		let random = 1;
		for (let n = 0; n < 12_000; n++) {
			random = (Math.imul(random, 1_664_525) + 1_013_904_223) >>> 0;
			const channel = `channel-${random % Math.floor(rows * 1.1)}`;
			rig.clock.nowMs += 1;
			const { position } = log.publish(channel, bytes("x"), kept) as { position: Position };
			const epochs = had.get(channel) ?? new Set();
			had.set(channel, epochs);
			if (position.offset === 1) {
				if (epochs.has(position.epoch)) expect.fail(`${channel} has ${position.epoch} again`);
				if (epochs.size > 0) comebacks++;
				epochs.add(position.epoch);
				now.set(channel, position.epoch);
			} else if (position.epoch !== now.get(channel)) expect.fail(`${channel} has changed to ${position.epoch}`);
		}
		expect(comebacks).toBeGreaterThan(300);
	});

	it.each([
		{ memoryBytes: 2 ** 25, channels: 0, used: 10_000 },
		{ memoryBytes: 2 ** 25, channels: 0, used: 16_384 },
		{ memoryBytes: 2 ** 26, channels: 100_000, used: 100_000 },
	])("but not of $used channels, with room for $channels in $memoryBytes bytes", { tags: ["long"] }, ({ memoryBytes, channels, used }) => {
		const rig = new Rig(memoryBytes, { channels });
		const tables = rig.memories.map((memory) => new ChannelTable(memory, 1));
		const keys = new Int32Array(randomBytes(used * 16).buffer);
		const head = { ...createLogRecordHead(), size: 1, ttlMs: 1000, metaTtlMs: 1000, timeMs: 1 };
		let evicted = 0;
		for (let n = 0; n < used; n++) {
			[head.key0, head.key1, head.key2, head.key3] = [keys[n * 4]!, keys[n * 4 + 1]!, keys[n * 4 + 2]!, keys[n * 4 + 3]!];
			const table = tables[n % tables.length]!;
			table.place(head, 0, 1);
			if (table.evicts) evicted++;
			table.apply(head);
		}
		expect(evicted).toBe(0);
	});

	it("of idempotency keys: none is given up before its time; publications with further ones are refused, and counted", () => {
		const rig = new Rig(smallBytes, { idempotencyKeys: 500 });
		const log = rig.member();
		const withKey = (n: number): PublishOptions => ({ ...kept, idempotency: { key: `${n}`, ttlMs: 1000 } });
		const taken: number[] = [];
		for (let n = 0; n < 1000; n++) {
			const result = log.publish("channel", bytes("x"), withKey(n));
			if (result.outcome === "accepted") taken.push(n);
			else expect(result).toEqual({ outcome: "full", reason: "keys" });
		}
		// All in one log, which has room for its share.
		expect(taken.length).toBeGreaterThan(500 / LogLayout.logs);
		expect(taken.length).toBeLessThan(1000);
		expect(log.counter("fullKeys")).toBe(1000 - taken.length);
		rig.clock.nowMs += 999;
		for (const n of taken) expect(log.publish("channel", bytes("x"), withKey(n))).toMatchObject({ outcome: "accepted", duplicate: true });
		rig.clock.nowMs += 1;
		expect(log.publish("channel", bytes("x"), withKey(taken[0]!))).toEqual({ outcome: "accepted", position: expect.anything() });
	});

	it.each([
		// Many channels, since a key is in its channel's log: those of a few are distributed too unevenly.
		{ memoryBytes: 2 ** 22, keys: 0, perSecond: 54, channels: 10_000 },
		{ memoryBytes: 2 ** 20, keys: 3000, perSecond: 10, channels: 2000 },
	])(
		"but not of $perSecond keys a second that live for 300 s, with room for $keys in $memoryBytes bytes",
		{ tags: ["long"] },
		({ memoryBytes, keys, perSecond, channels }) => {
			const { memories } = new Rig(memoryBytes, { idempotencyKeys: keys });
			const tables = memories.map((memory) => new IdempotencyTable(memory));
			const names = new ChannelNames(memories[0]!.words.subarray(HeaderWord.secret, HeaderWord.secret + HeaderWord.secretWords));
			const head = { ...createLogRecordHead(), offset: 1, keyTtlMs: 300_000, timeMs: 1000 };
			const wanted = (n: number): IdempotencyTable => {
				const name = names.get(`channel-${n % channels}`);
				[head.hash0, head.hash1] = names.hash(name, `${n}`);
				return tables[name.log]!;
			};
			for (let n = 0; n < perSecond * 610; n++) {
				head.timeMs += 1000 / perSecond;
				const table = wanted(n);
				if (!table.hasRoom(head.hash0, head.hash1, head.timeMs)) expect.fail(`key ${n}: no room`);
				table.apply(head);
			}
			const isKnown = (n: number) => wanted(n).find(head.hash0, head.hash1, head.timeMs) >= 0;
			// Those of the last 300 s.
			expect([perSecond * 609, perSecond * 350, perSecond * 311, perSecond * 309].map(isKnown)).toEqual([true, true, true, false]);
		},
	);
});

describe("a reader", () => {
	it("sleeps and wakes like the bus: whoever publishes rings those who sleep", async () => {
		const rig = new Rig();
		const bus = new MemoryBus({ members: 2, capacityBytes: 4096 });
		const [writing, sleeping] = [bus.link(0), bus.link(1)];
		const log = rig.member(0, 1, rig.memories, { committed: () => writing.ringWaiters() });
		const reader = log.reader(1);
		let wakes = 0;
		sleeping.onWake(() => wakes++);
		for (let round = 1; round <= 20; round++) {
			// As the flush engine does: first the bus, whose word the writers look at, then the sources.
			expect([sleeping.sleep(), reader.sleep()]).toEqual([true, true]);
			put(log, "channel", `${round}`);
			await expect.poll(() => wakes, { interval: 1 }).toBe(round);
			expect([reader.sleep(), reader.read(10, () => {})]).toEqual([false, 1]);
		}
	});

	it("reads all logs in turn, at most as many as asked for; a visitor that throws costs its record only", () => {
		const rig = new Rig();
		const log = rig.member();
		const reader = log.reader(0);
		for (let n = 0; n < 40; n++) put(log, `channel-${n}`, "x");
		const sizes = Array.from({ length: 4 }, () => reader.read(7, () => {}));
		expect(sizes).toEqual([7, 7, 7, 7]);
		const fail = () => {
			throw new Error("bad record");
		};
		expect(() => reader.read(5, fail)).toThrow("bad record");
		expect(() => reader.read(5, () => reader.read(1, () => {}))).toThrow("read within a read");
		expect([reader.read(100, () => {}), reader.read(100, () => {}), reader.hasRecords()]).toEqual([10, 0, false]);
	});

	it("a snapshot as of a reader and what it visits from then on are the channel, without hole or duplicate", () => {
		const rig = new Rig(8 * 2 ** 20);
		const [log, other] = [rig.member(0), rig.member(1)];
		const reader = log.reader(0);
		const live: string[] = [];
		let snapshot: string[] | undefined;
		const visited = new Visited(reader);
		for (let n = 0; n < 300; n++) {
			put(n % 2 === 0 ? log : other, "channel", `${n}`);
			if (n % 7 === 0) visited.read(reader, 5);
			if (n === 150) {
				snapshot = shown(log.history("channel", { asOf: reader })!.publications);
				const { offset } = log.position("channel", reader)!;
				expect(offset).toBe(snapshot.length);
				live.push(...visited.of("channel").splice(0));
				expect(live).toEqual(snapshot);
			}
		}
		visited.read();
		expect([...snapshot!, ...visited.of("channel")]).toEqual(Array.from({ length: 300 }, (_, n) => `${n + 1}:${n}`));
	});

	it("says when something else has written to its memory", () => {
		const rig = new Rig();
		const log = rig.member();
		const reader = log.reader(0);
		put(log, "channel", "x");
		const memory = rig.memories.find(({ floats }) => floats[LogLayout.tailOffset >> 3]! > 0)!;
		memory.floats[(memory.dataOffset >> 3) + 1] = 12_345;
		expect(() => reader.read(1, () => {})).toThrow(/there is no record/);
		expect(log.history("channel")!.publications).toEqual([]);
	});
});

it("epochs differ from cluster to cluster", () => {
	const epochs = [new Rig(), new Rig()].map((rig) => rig.member().position("channel")!.epoch);
	expect(epochs[0]).not.toBe(epochs[1]);
});

describe("memory that holds no logs", () => {
	it("is refused with what it is", () => {
		const buffers = createLogBuffers({ memoryBytes: 8 * 65_536 });
		expect(() => openLogBuffers(buffers.slice(1))).toThrow("7 logs");
		expect(() => attachLog(new SharedArrayBuffer(100))).toThrow("100 bytes are too few for a log");
		expect(() => attachLog(new SharedArrayBuffer(65_536))).toThrow("no log here");
		const words = new Int32Array(buffers[0]!);
		words[1] = 9;
		expect(() => attachLog(buffers[0]!)).toThrow("the log has version 9, this program reads 2");
		words[1] = 2;
		words[6] = 2 ** 30;
		expect(() => attachLog(buffers[0]!)).toThrow("contradicts its size");
		expect(() => createLogBuffers({ memoryBytes: 1000 })).toThrow("logs of 1000 bytes: give them 524288");
		expect(() => createLogBuffers({ memoryBytes: 2 ** 20, channels: 10_000 })).toThrow(
			/room for \d+ channels and \d+ idempotency keys takes more/,
		);
		expect(() => new Rig().member().reader(64)).toThrow("reader slot 64");
	});
});

function detailOf(result: PublishResult): string {
	if (result.outcome !== "too_large") throw new Error(result.outcome);
	return result.detail!;
}

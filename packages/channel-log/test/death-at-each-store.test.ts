import { describe, expect, it } from "vitest";
import type { PublishOptions } from "../src/broker.ts";
import type { ChannelLog } from "../src/channel-log.ts";
import { LogLayout } from "../src/memory/log-descriptor.ts";
import { LogKeeper } from "../src/memory/log-keeper.ts";
import { holderOf, takeLockFromDead, unlock } from "../src/memory/log-lock.ts";
import { type LogMemory, offsetOf } from "../src/memory/log-memory.ts";
import type { LogReader } from "../src/records/log-reader.ts";
import { bytes, historyOf, kept, limits, offsetOfResult, put, Rig, shown, text } from "./fixtures.ts";
import { Death, type Life, mortal, newLife, withMortalAtomics } from "./mortal-memory.ts";
import { Visited } from "./visited.ts";

const tailFloat = LogLayout.tailOffset >> 3;
/** Of the data in a record: behind its head, the head of the event, and the name "channel". */
const dataOffset = 112 + 24 + 5 + 7;
const once: PublishOptions = { ...kept, idempotency: { key: "k", ttlMs: 300_000 } };

interface Scene {
	readonly rig: Rig;
	/** Lives on. */
	readonly other: ChannelLog;
	readonly reader: LogReader;
	readonly visited: Visited;
}

/** What has happened before: acknowledged, so it must never be lost. */
type Before = (scene: Scene) => void;

const before: Readonly<Record<string, Before>> = {
	"the first publication of a cluster": () => {},
	"a publication into a channel that has some": ({ other }) => {
		for (const message of ["a", "b", "c"]) put(other, "channel", message);
	},
	"one that does not fit before the end of the data any more": ({ other, rig, visited, reader }) => {
		// Up to 100 bytes before the end of the smallest log.
		put(other, "channel", "a");
		const memory = rig.memories.find(({ floats }) => floats[tailFloat]! > 0)!;
		for (;;) {
			const left = memory.dataBytes - memory.floats[tailFloat]!;
			if (left < 200) break;
			put(other, "channel", "x".repeat(Math.max(1, Math.min(1000, left - 300))));
			visited.read(reader);
		}
	},
	"one into a channel whose row has expired": ({ other, rig }) => {
		put(other, "channel", "old", { history: { size: 10, ttlMs: 10, metaTtlMs: 10 } });
		rig.clock.nowMs += 20;
	},
	"one that writes over old records": ({ other, visited, reader }) => {
		for (let n = 0; n < 80; n++) {
			put(other, "channel", `${n} `.padEnd(800, "-"));
			visited.read(reader);
		}
	},
};

describe("a process that dies at any store of a publication", () => {
	for (const [what, prepare] of Object.entries(before)) {
		it(`${what}: nothing acknowledged is lost, nothing is there twice, the epoch stays, the lock is free after reaping`, {
			tags: ["long"],
		}, () => {
			let diesAt = 0;
			const outcomes = { lost: 0, published: 0 };
			for (; ; diesAt++) {
				const life = newLife(diesAt);
				const dead = dieOnce(prepare, life, outcomes);
				if (!dead) break;
			}
			expect(diesAt).toBeGreaterThan(50);
			// Both happen: it never was, and it is there though its publisher never knew.
			expect(outcomes.lost).toBeGreaterThan(20);
			expect(outcomes.published).toBeGreaterThan(5);
		});
	}

	it("one that dies while it finishes what a dead one had begun: the next one finishes both", { tags: ["long"] }, () => {
		let tried = 0;
		for (let first = 0; ; first++) {
			for (let second = first % 4; ; second += 4) {
				const { rig, other, reader, visited } = scene(before["a publication into a channel that has some"]!);
				const life = newLife(first);
				if (!dies(rig, 0, life, "dying")) {
					expect(tried).toBeGreaterThan(50);
					return;
				}
				// The keeper, which finishes it, dies as well: one life after the other.
				const keeperLife = newLife(second);
				const isDone = releaseMortally(rig, keeperLife);
				rig.keeper.memberDied(0, 1);
				rig.keeper.memberDied(9, 0);
				const result = other.publish("channel", bytes("dying"), once);
				expect(historyOf(other, "channel")).toEqual(["1:a", "2:b", "3:c", "4:dying"]);
				expect(offsetOfResult(result)).toBe(4);
				visited.read(reader);
				expect(visited.of("channel")).toEqual(["1:a", "2:b", "3:c", "4:dying"]);
				tried++;
				if (isDone) break;
			}
		}
	});

	it("what a dead process has written over is gone, though its record never was, and though its bytes imitate what was there", {
		tags: ["long"],
	}, () => {
		for (const dying of [true, false]) {
			const { rig, other, reader, visited } = scene(() => {});
			const message = (n: number) => `${n} `.padEnd(800, "~");
			for (let n = 1; n <= 80; n++) {
				put(other, "channel", message(n));
				visited.read(reader);
			}
			const memory = rig.memories.find(({ floats }) => floats[tailFloat]! > 0)!;
			const forged = imitation(memory, offsetOf(memory, memory.floats[tailFloat]!) + dataOffset, 5000);
			// Its death comes when all of it is written, but the tail.
			const life = newLife(dying ? storesUntilCommit() : Number.POSITIVE_INFINITY);
			expect(dies(rig, 0, life, forged)).toBe(dying);
			rig.keeper.memberDied(0, 1);
			if (dying) put(other, "channel", "short");
			const { publications } = other.history("channel")!;
			for (const { offset, data } of publications.slice(0, -1)) expect(text(data)).toBe(message(offset));
			expect(publications.length).toBeGreaterThan(25);
			expect(other.counter("evictedReads")).toBe(1);
		}
	});

	it("one that dies while it removes a history: all of it is there, or nothing", () => {
		for (let diesAt = 0; ; diesAt++) {
			const { rig, other } = scene(before["a publication into a channel that has some"]!);
			const life = newLife(diesAt);
			const victim = rig.member(
				0,
				1,
				rig.memories.map((memory) => mortal(memory, life)),
			);
			const isDead = withMortalAtomics(() => hasDied(() => victim.removeHistory("channel")));
			expect([["1:a", "2:b", "3:c"], []]).toContainEqual(historyOf(other, "channel"));
			rig.keeper.memberDied(0, 1);
			expect(put(other, "channel", "next")).toBe(4);
			if (!isDead) {
				expect(historyOf(other, "channel")).toEqual(["4:next"]);
				return;
			}
		}
	});
});

function scene(prepare: Before): Scene {
	const rig = new Rig();
	const other = rig.member(1);
	const reader = other.reader(1);
	const visited = new Visited(reader);
	const made = { rig, other, reader, visited };
	prepare(made);
	visited.read(reader);
	return made;
}

/** Publishes with a life that ends. False = it did not. */
function dies(rig: Rig, slot: number, life: Life, message: string | Uint8Array): boolean {
	const victim = rig.member(
		slot,
		1,
		rig.memories.map((memory) => mortal(memory, life)),
	);
	return withMortalAtomics(() => hasDied(() => victim.publish("channel", typeof message === "string" ? bytes(message) : message, once)));
}

/** What lies there, with heads that are true and data that are not. */
function imitation({ u8 }: LogMemory, start: number, length: number): Uint8Array {
	return new Uint8Array(u8.subarray(start, start + length)).map((byte) => (byte === 0x7e ? 0x21 : byte));
}

function storesUntilCommit(): number {
	for (let diesAt = 0; ; diesAt++) {
		const { rig } = scene(() => {});
		dies(rig, 0, newLife(diesAt), "x");
		if (rig.memories.some(({ floats }) => floats[tailFloat]! > 0)) return diesAt - 1;
	}
}

function hasDied(work: () => void): boolean {
	try {
		work();
		return false;
	} catch (error) {
		if (error instanceof Death) return true;
		throw error;
	}
}

/** As the keeper does it, with a life that ends. True = it did not. */
function releaseMortally(rig: Rig, life: Life): boolean {
	const memories = rig.memories.map((memory) => mortal(memory, life));
	return withMortalAtomics(() => !hasDied(() => new LogKeeper(memories, 9).memberDied(0, 1)));
}

function dieOnce(prepare: Before, life: Life, outcomes: { lost: number; published: number }): boolean {
	const { rig, other, reader, visited } = scene(prepare);
	const earlier = shown(other.history("channel")!.publications);
	const { epoch, offset } = other.position("channel")!;
	const isDead = dies(rig, 0, life, "dying");

	// Before it has been reaped: a snapshot as of what a reader has visited, and what it visits from then on, have no hole and no duplicate.
	const asOf = other.history("channel", { asOf: reader });
	visited.read(reader);
	const after = other.history("channel", { asOf: reader });
	if (asOf !== null) expect(shown(asOf.publications)).toEqual(earlier.slice(-asOf.publications.length));
	const isOut = visited.of("channel").at(-1) === `${offset + 1}:dying`;
	if (after !== null) expect(after.position.offset).toBe(isOut ? offset + 1 : offset);
	if (after !== null && isOut) expect(shown(after.publications).at(-1)).toBe(`${offset + 1}:dying`);

	if (isDead) {
		const isLocked = other.publish("channel", bytes("meanwhile"), { history: limits, idempotency: { key: "other", ttlMs: 1 } });
		if (isLocked.outcome !== "full") {
			// It died before it had the lock, or after it gave it back: not counted, for the channel has gone on.
			return true;
		}
		expect(isLocked).toEqual({ outcome: "full", reason: "locked" });
	}
	// Reaped. What was committed is finished by the keeper, or by whoever holds the lock next.
	if (life.diesAt % 2 === 0) rig.keeper.memberDied(0, 1);
	else for (const memory of rig.memories) if (takeLockFromDead(memory, holderOf(0, 1), holderOf(9, 0))) unlock(memory);

	// The client's retry, on another process.
	const retry = other.publish("channel", bytes("dying"), once);
	expect(retry).toEqual({ outcome: "accepted", ...(isOut && { duplicate: true }), position: { offset: offset + 1, epoch } });
	visited.read(reader);
	const now = historyOf(other, "channel");
	expect(now.at(-1)).toBe(`${offset + 1}:dying`);
	const kept = now.slice(0, -1);
	// The record that is written over is the oldest: it may be missing, but nothing behind it.
	expect(kept).toEqual(earlier.slice(earlier.length - kept.length));
	expect(kept.length).toBeGreaterThanOrEqual(earlier.length - 12);
	expect(visited.of("channel").filter((line) => line.endsWith(":dying"))).toEqual([`${offset + 1}:dying`]);
	expect(put(other, "channel", "next")).toBe(offset + 2);
	if (isDead) outcomes[isOut ? "published" : "lost"]++;
	return isDead;
}

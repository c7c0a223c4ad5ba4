import { randomBytes } from "node:crypto";
import { packVersion, versionFix, versionProblem } from "@shardcast/wire";
import type { AddressKey } from "./address-key.ts";

const magic = 0x5343_5231n; // "SCR1"
/** Sets, entries and the hash belong to the major version. */
const version = { major: 2, minor: 0 };
/** An address may be in any entry of its set. */
const setEntries = 8;
const setBits = 11n;
const sets = 1 << Number(setBits);
/** i64 words of an entry: the address, and when its bucket will be full again. */
const entryWords = 2;
const regionWords = sets * setEntries * entryWords;
/** i64 words of the header. `all` is the bucket for all addresses together. */
const HeaderWord = { magic: 0, multiplier: 1, summand: 2, all: 3, version: 4 } as const;
const headerWords = 8;

/** What is counted separately: `commands` for each user, the others for each address. */
export const RateKind = { connections: 0, publishes: 1, commands: 2 } as const;
export type RateKind = (typeof RateKind)[keyof typeof RateKind];
const kinds = Object.keys(RateKind).length;

/** A rate: `rate` commands per `intervalMs`. */
interface RateInterval {
	readonly rate: number;
	readonly intervalMs: number;
}

const secondNs = 1_000_000_000n;
/** Never reached, since each lost race means that another process succeeded; it keeps the loop finite. */
const attemptsMax = 1000;

/**
 * Token buckets for client addresses, in shared memory and shared by all processes of a cluster. Each bucket holds one second's worth.
 *
 * A bucket is one number: the time at which it will be full (GCRA). Any process may take from any bucket at any time, by compare and
 * swap; there is no lock, so no process can die while holding one. Times are `monotonicMs()`, which all processes of a machine share.
 *
 * Bound: 16,384 addresses or users per kind, 768 KiB in all. A full bucket needs no entry, so only buckets in use take room.
 * When all eight entries of an address's set are in use, the fullest one is dropped (`forgotten` counts these). A take costs about a
 * microsecond. Two processes that see a new address at the same instant, while another entry of its set becomes free, may each create a
 * bucket for it; the address then gets one second's worth more, once.
 */
export class RateTable {
	/** How many addresses this process dropped before their buckets were full. */
	forgotten = 0;
	readonly #words: BigInt64Array;
	/** Both are secret; otherwise clients could choose addresses that fill one set. */
	readonly #multiplier: bigint;
	readonly #summand: bigint;

	static readonly bytes = (headerWords + kinds * regionWords) * 8;

	/** @throws RangeError when the bytes are not such a table. */
	constructor(buffer: ArrayBufferLike) {
		if (buffer.byteLength < RateTable.bytes) throw new RangeError("this is not a table of rates: start the cluster again");
		this.#words = new BigInt64Array(buffer, 0, RateTable.bytes / 8);
		if (this.#words[HeaderWord.magic] !== magic) throw new RangeError("this is not a table of rates: start the cluster again");
		const problem = versionProblem(Number(this.#words[HeaderWord.version]), version);
		if (problem !== null) throw new RangeError(`the table of rates ${problem}: ${versionFix}`);
		this.#multiplier = this.#words[HeaderWord.multiplier]!;
		this.#summand = this.#words[HeaderWord.summand]!;
	}

	/** Creates a table in zeroed bytes. */
	static format(buffer: ArrayBufferLike): void {
		const words = new BigInt64Array(buffer, 0, headerWords);
		words[HeaderWord.multiplier] = BigInt.asIntN(64, randomWord() | 1n);
		words[HeaderWord.summand] = BigInt.asIntN(64, randomWord());
		words[HeaderWord.version] = BigInt(packVersion(version));
		words[HeaderWord.magic] = magic;
	}

	/** Creates a table in the memory of this process. */
	static inMemory(): RateTable {
		const buffer = new ArrayBuffer(RateTable.bytes);
		RateTable.format(buffer);
		return new RateTable(buffer);
	}

	/** Takes one from the address's bucket. @returns false when it is empty. */
	take(kind: RateKind, address: AddressKey, perSecond: number, nowMs: number): boolean {
		const now = nanoseconds(nowMs);
		return this.#take(this.#enter(kind, address, now) + 1, perSecond, now);
	}

	/** Whether `take` would take one now. */
	has(kind: RateKind, address: AddressKey, perSecond: number, nowMs: number): boolean {
		const at = this.#find(kind, address);
		return at < 0 || this.#has(at + 1, perSecond, nanoseconds(nowMs));
	}

	/** Like `take`, from a bucket that holds `rate` and is full again after `intervalMs`. @param key of the bucket; must be secret or a hash. */
	takeOf(kind: RateKind, key: bigint, { rate, intervalMs }: RateInterval, nowMs: number): boolean {
		const now = nanoseconds(nowMs);
		return this.#take(this.#enter(kind, key, now) + 1, rate, now, nanoseconds(intervalMs));
	}

	/** Whether `takeOf` would take one now. */
	hasOf(kind: RateKind, key: bigint, { rate, intervalMs }: RateInterval, nowMs: number): boolean {
		const at = this.#find(kind, key);
		return at < 0 || this.#has(at + 1, rate, nanoseconds(nowMs), nanoseconds(intervalMs));
	}

	/** Like `take`, from the bucket for all addresses together. */
	takeFromAll(perSecond: number, nowMs: number): boolean {
		return this.#take(HeaderWord.all, perSecond, nanoseconds(nowMs));
	}

	hasForAll(perSecond: number, nowMs: number): boolean {
		return this.#has(HeaderWord.all, perSecond, nanoseconds(nowMs));
	}

	#take(at: number, rate: number, now: bigint, intervalNs = secondNs): boolean {
		const costs = cost(rate, intervalNs);
		for (let attempt = 0; attempt < attemptsMax; attempt++) {
			const full = Atomics.load(this.#words, at);
			const next = (full > now ? full : now) + costs;
			if (next - now > intervalNs) return false;
			if (Atomics.compareExchange(this.#words, at, full, next) === full) return true;
		}
		return false;
	}

	#has(at: number, rate: number, now: bigint, intervalNs = secondNs): boolean {
		const full = Atomics.load(this.#words, at);
		return full <= now || full + cost(rate, intervalNs) - now <= intervalNs;
	}

	/** The index of the address's entry, in words; -1 = none. */
	#find(kind: RateKind, address: AddressKey): number {
		const key = BigInt.asIntN(64, address);
		const first = this.#set(kind, key);
		for (let at = first; at < first + setEntries * entryWords; at += entryWords) if (Atomics.load(this.#words, at) === key) return at;
		return -1;
	}

	/** The address's entry, created if there is none. */
	#enter(kind: RateKind, address: AddressKey, now: bigint): number {
		const key = BigInt.asIntN(64, address);
		const first = this.#set(kind, key);
		for (;;) {
			const found = this.#find(kind, address);
			if (found >= 0) return found;
			const at = this.#leastUsed(first, now);
			const before = Atomics.load(this.#words, at);
			if (Atomics.compareExchange(this.#words, at, before, key) !== before) continue;
			if (Atomics.load(this.#words, at + 1) > now) {
				this.forgotten++;
				Atomics.store(this.#words, at + 1, now);
			}
			return at;
		}
	}

	/** The first entry with a full bucket, or else the one that will be full soonest. */
	#leastUsed(first: number, now: bigint): number {
		let least = first;
		let leastFull = Atomics.load(this.#words, first + 1);
		for (let at = first + entryWords; at < first + setEntries * entryWords && leastFull > now; at += entryWords) {
			const full = Atomics.load(this.#words, at + 1);
			if (full >= leastFull) continue;
			least = at;
			leastFull = full;
		}
		return least;
	}

	/** The start of the address's set, in words. */
	#set(kind: RateKind, key: bigint): number {
		// The finalizer of SplitMix64 with two secrets: one multiplication alone would put consecutive addresses into few sets.
		let mixed = BigInt.asUintN(64, key * this.#multiplier + this.#summand);
		mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 30n)) * 0xbf58476d1ce4e5b9n);
		mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 27n)) * 0x94d049bb133111ebn);
		const set = Number(mixed >> (64n - setBits));
		return headerWords + kind * regionWords + set * setEntries * entryWords;
	}
}

function randomWord(): bigint {
	return BigInt(`0x${randomBytes(8).toString("hex")}`);
}

function nanoseconds(ms: number): bigint {
	return BigInt(Math.round(ms * 1e6));
}

/** Rounded down, so that the full rate fits into the interval. */
function cost(rate: number, intervalNs: bigint): bigint {
	return intervalNs / BigInt(rate);
}

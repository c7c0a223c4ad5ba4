import { randomBytes } from "node:crypto";
import { packVersion, versionFix, versionProblem } from "@shardcast/wire";
import type { AddressKey } from "./address-key.ts";

const magic = 0x5343_5231n; // "SCR1"
/** Sets, entries and the hash belong to the major version. */
const version = { major: 1, minor: 0 };
/** Of a set's entries an address may be in any. */
const setEntries = 8;
const setBits = 11n;
const sets = 1 << Number(setBits);
/** i64 words of an entry: the address, and when its bucket will be full again. */
const entryWords = 2;
const regionWords = sets * setEntries * entryWords;
/** i64 words of the header. `all` is the one bucket of all addresses together. */
const HeaderWord = { magic: 0, multiplier: 1, summand: 2, all: 3, version: 4 } as const;
const headerWords = 8;

/** What is counted by address, each for itself. */
export const RateKind = { connections: 0, publishes: 1 } as const;
export type RateKind = (typeof RateKind)[keyof typeof RateKind];
const kinds = Object.keys(RateKind).length;

const secondNs = 1_000_000_000n;
/** A lost race means that another process has taken one, so this is never met; it keeps the loop finite. */
const attemptsMax = 1000;

/**
 * Token buckets of client addresses for all processes of a cluster, in shared memory: so many per second and address, whichever process
 * is asked, a second's worth at once.
 *
 * A bucket is one number: the time at which it will be full (GCRA). Any process may take from any bucket at any time, by compare and
 * swap; there is no lock that one could die with. Times are `monotonicMs()`, which all processes of a machine share.
 *
 * Bound: 16,384 addresses per kind, 512 KiB in all. A bucket that is full is as good as none, so only those that are in use take room;
 * when all eight entries of an address's set are in use, the one that is next to full is forgotten (`forgotten` counts those). About a
 * microsecond per take. Two processes that meet an address for the first time at the same instant, while another entry of its set
 * becomes free, may each begin a bucket for it: it has a second's worth more then, once.
 */
export class RateTable {
	/** Addresses that this process forgot before their buckets were full. */
	forgotten = 0;
	readonly #words: BigInt64Array;
	/** Both unknown to clients, or they could choose addresses that fill one set. */
	readonly #multiplier: bigint;
	readonly #summand: bigint;

	static readonly bytes = (headerWords + kinds * regionWords) * 8;

	/** @throws RangeError when these bytes are no such table. */
	constructor(buffer: ArrayBufferLike) {
		if (buffer.byteLength < RateTable.bytes) throw new RangeError("this is no table of rates: start the cluster again");
		this.#words = new BigInt64Array(buffer, 0, RateTable.bytes / 8);
		if (this.#words[HeaderWord.magic] !== magic) throw new RangeError("this is no table of rates: start the cluster again");
		const problem = versionProblem(Number(this.#words[HeaderWord.version]), version);
		if (problem !== null) throw new RangeError(`the table of rates ${problem}: ${versionFix}`);
		this.#multiplier = this.#words[HeaderWord.multiplier]!;
		this.#summand = this.#words[HeaderWord.summand]!;
	}

	/** Lays one out in zeroed bytes. */
	static format(buffer: ArrayBufferLike): void {
		const words = new BigInt64Array(buffer, 0, headerWords);
		words[HeaderWord.multiplier] = BigInt.asIntN(64, randomWord() | 1n);
		words[HeaderWord.summand] = BigInt.asIntN(64, randomWord());
		words[HeaderWord.version] = BigInt(packVersion(version));
		words[HeaderWord.magic] = magic;
	}

	/** In this process's own memory. */
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

	/** As `take`, from the bucket of all addresses together. */
	takeFromAll(perSecond: number, nowMs: number): boolean {
		return this.#take(HeaderWord.all, perSecond, nanoseconds(nowMs));
	}

	hasForAll(perSecond: number, nowMs: number): boolean {
		return this.#has(HeaderWord.all, perSecond, nanoseconds(nowMs));
	}

	#take(at: number, perSecond: number, now: bigint): boolean {
		const costs = interval(perSecond);
		for (let attempt = 0; attempt < attemptsMax; attempt++) {
			const full = Atomics.load(this.#words, at);
			const next = (full > now ? full : now) + costs;
			if (next - now > secondNs) return false;
			if (Atomics.compareExchange(this.#words, at, full, next) === full) return true;
		}
		return false;
	}

	#has(at: number, perSecond: number, now: bigint): boolean {
		const full = Atomics.load(this.#words, at);
		return full <= now || full + interval(perSecond) - now <= secondNs;
	}

	/** The address's entry, in words; -1 when it has none. */
	#find(kind: RateKind, address: AddressKey): number {
		const key = BigInt.asIntN(64, address);
		const first = this.#set(kind, key);
		for (let at = first; at < first + setEntries * entryWords; at += entryWords) if (Atomics.load(this.#words, at) === key) return at;
		return -1;
	}

	/** Its entry, made if it has none. */
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

	/** The first entry whose bucket is full, else the one that will be soonest. */
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

	/** Where the address's set begins, in words. */
	#set(kind: RateKind, key: bigint): number {
		// The finisher of SplitMix64 behind two secrets: one multiplication alone puts addresses in a row into few sets.
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

/** Rounded down, so that a whole second's worth fits into a second. */
function interval(perSecond: number): bigint {
	return BigInt(Math.floor(1e9 / perSecond));
}

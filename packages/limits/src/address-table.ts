import { randomInt } from "node:crypto";
import { BusError, BusErrorCode } from "@shardcast/scoreboard";
import { packVersion, versionFix, versionProblem } from "@shardcast/wire";

const magic = 0x53434131; // "SCA1"
/** The hash, the bucket and the entry belong to the major version. */
const version = { major: 1, minor: 0 };
const headerBytes = 64;
/** More can't be mapped in one piece. */
const bytesMax = 2 ** 31 - 1;
/** Entries that an address may be in. With four places for each connection, one in a million finds all of them taken. */
const bucketEntries = 16;
const placesPerConnection = 4;
/** i32 words of an entry: the upper and the lower half of the address, how many connections it has; 0 = the entry is free. */
const entryWords = 3;
/** `firstPart` is where the part of slot 0 begins, in bytes. Slots from `slotsUsed` on have no memory yet. */
const HeaderWord = { magic: 0, version: 1, slots: 2, buckets: 3, seed: 4, firstPart: 5, slotsUsed: 6 } as const;

/**
 * How many connections each client address has, over all shards: a part per slot, in shared memory. It is laid out for all slots that
 * a cluster can have; a slot takes memory only once the supervisor calls `useSlots`.
 *
 * Everybody may read all of it; each part has one writer, its shard, or the supervisor once that is certainly dead (`clear`). An entry
 * does not move while it is in use, so whoever enters keeps its number and leaves by it. Bound: a part has four places per connection
 * that its shard may have, 12 bytes each; when the sixteen of an address are taken by others, it is not counted (-1).
 *
 * A shard that enters a connection *first counts it and then reads the total*: of two shards that do so at once at least one sees both, so together
 * they never let in more than allowed.
 */
export class AddressTable {
	readonly #words: Int32Array;
	readonly #buckets: number;
	readonly #seed: number;
	/** In words. */
	readonly #firstPart: number;

	/** @throws BusError when these bytes are no such table. */
	constructor(buffer: ArrayBufferLike) {
		this.#words = new Int32Array(buffer, 0, buffer.byteLength >> 2);
		if (this.#words[HeaderWord.magic] !== magic)
			throw new BusError(BusErrorCode.notAnAddressTable, "this is no table of addresses", "start the cluster again");
		const problem = versionProblem(this.#words[HeaderWord.version]!, version);
		if (problem !== null) throw new BusError(BusErrorCode.notAnAddressTable, `the table of addresses ${problem}`, versionFix);
		this.#buckets = this.#words[HeaderWord.buckets]!;
		this.#seed = this.#words[HeaderWord.seed]!;
		this.#firstPart = this.#words[HeaderWord.firstPart]! >> 2;
	}

	static bytes(slots: number, connectionsPerSlot: number): number {
		return headerBytes + slots * bucketsFor(connectionsPerSlot) * bucketEntries * entryWords * 4;
	}

	/** Slots for which a table can be laid out: fewer than `slots` when more than 700,000 connections per slot would take 2 GiB of addresses. */
	static slotsThatFit(slots: number, connectionsPerSlot: number): number {
		const partBytes = AddressTable.bytes(1, connectionsPerSlot) - headerBytes;
		return Math.min(slots, Math.floor((bytesMax - headerBytes) / partBytes));
	}

	/** Lays one out in zeroed bytes, of which only those of `bytes(0, …)` need memory. */
	static format(buffer: ArrayBufferLike, slots: number, connectionsPerSlot: number): void {
		const words = new Int32Array(buffer, 0, headerBytes >> 2);
		words[HeaderWord.version] = packVersion(version);
		words[HeaderWord.firstPart] = headerBytes;
		words[HeaderWord.slots] = slots;
		words[HeaderWord.buckets] = bucketsFor(connectionsPerSlot);
		// Unknown to clients, or they could choose addresses that fill one bucket.
		words[HeaderWord.seed] = randomInt(2 ** 31);
		words[HeaderWord.magic] = magic;
	}

	/** In this process's own memory. */
	static inMemory(connectionsPerSlot: number, slots = 1): AddressTable {
		const buffer = new ArrayBuffer(AddressTable.bytes(slots, connectionsPerSlot));
		AddressTable.format(buffer, slots, connectionsPerSlot);
		const table = new AddressTable(buffer);
		table.useSlots(slots);
		return table;
	}

	/** For the supervisor: slots below `count` have memory, `bytes(count, …)` of it. Before a shard in one of them counts. */
	useSlots(count: number): void {
		if (count > this.#slotsUsed) Atomics.store(this.#words, HeaderWord.slotsUsed, count);
	}

	/** Counts one connection in. @returns its entry, or -1: it could not be counted. */
	enter(slot: number, address: bigint): number {
		if (slot >= this.#slotsUsed) return -1;
		const [high, low] = halves(address);
		const first = this.#bucket(slot, high, low);
		let free = -1;
		for (let at = first; at < first + bucketEntries * entryWords; at += entryWords) {
			const count = this.#words[at + 2]!;
			if (count === 0) {
				if (free < 0) free = at;
			} else if (this.#words[at] === high && this.#words[at + 1] === low) {
				Atomics.add(this.#words, at + 2, 1);
				return at;
			}
		}
		if (free < 0) return -1;
		// Whoever reads meanwhile sees a free entry until the count is there.
		Atomics.store(this.#words, free, high);
		Atomics.store(this.#words, free + 1, low);
		Atomics.store(this.#words, free + 2, 1);
		return free;
	}

	/** Counts one out. @param entry as `enter` gave it; -1 does nothing. */
	leave(entry: number): void {
		if (entry >= 0) Atomics.sub(this.#words, entry + 2, 1);
	}

	/** Connections of this address, on all shards. */
	total(address: bigint): number {
		const [high, low] = halves(address);
		let total = 0;
		const slots = this.#slotsUsed;
		for (let slot = 0; slot < slots; slot++) {
			const first = this.#bucket(slot, high, low);
			for (let at = first; at < first + bucketEntries * entryWords; at += entryWords) {
				const count = Atomics.load(this.#words, at + 2);
				if (count === 0 || Atomics.load(this.#words, at) !== high || Atomics.load(this.#words, at + 1) !== low) continue;
				total += count;
				break;
			}
		}
		return total;
	}

	/** Forgets all connections of one shard: for the supervisor, when it is certainly dead. */
	clear(slot: number): void {
		if (slot >= this.#slotsUsed) return;
		const words = this.#buckets * bucketEntries * entryWords;
		const first = this.#firstPart + slot * words;
		this.#words.fill(0, first, first + words);
	}

	get #slotsUsed(): number {
		return Atomics.load(this.#words, HeaderWord.slotsUsed);
	}

	/** Where the address's bucket begins, in words. */
	#bucket(slot: number, high: number, low: number): number {
		// The finisher of MurmurHash3 over both halves.
		let hash = Math.imul(high ^ this.#seed, 0x85ebca6b) ^ low;
		hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
		hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
		hash ^= hash >>> 16;
		const bucket = (hash >>> 0) % this.#buckets;
		return this.#firstPart + (slot * this.#buckets + bucket) * bucketEntries * entryWords;
	}
}

function bucketsFor(connectionsPerSlot: number): number {
	return Math.max(4, Math.ceil((connectionsPerSlot * placesPerConnection) / bucketEntries));
}

function halves(address: bigint): [number, number] {
	return [Number(BigInt.asIntN(32, address >> 32n)), Number(BigInt.asIntN(32, address))];
}

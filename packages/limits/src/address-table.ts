import { randomInt } from "node:crypto";
import { BusError, BusErrorCode } from "@shardcast/scoreboard";
import { packVersion, versionFix, versionProblem } from "@shardcast/wire";

const magic = 0x53434131; // "SCA1"
/** The hash, the bucket and the entry belong to the major version. */
const version = { major: 1, minor: 0 };
const headerBytes = 64;
/** Largest size of a mapping. */
const bytesMax = 2 ** 31 - 1;
/** Entries that an address may use. With four entries per connection, one address in a million finds all of them in use. */
const bucketEntries = 16;
const placesPerConnection = 4;
/** A connection may be counted twice, by address and by user. */
const placesPerClient = 2;
const processConnectionsLeast = 100_000;
/** i32 words of an entry: the upper and the lower half of the address, how many connections it has; 0 = the entry is free. */
const entryWords = 3;
/** `firstPart` is the byte offset of slot 0's part. Slots from `slotsUsed` on have no memory yet. */
const HeaderWord = { magic: 0, version: 1, slots: 2, buckets: 3, seed: 4, firstPart: 5, slotsUsed: 6 } as const;

/**
 * Counts the connections of each client address over all shards, in shared memory with one part per slot. The table has room for all slots
 * that a cluster can have; a slot takes memory only once the supervisor calls `useSlots`.
 *
 * Any process may read all of it. Each part has one writer: its shard, or the supervisor after the shard's process was reaped (`clear`). An entry
 * does not move while it is in use, so `enter` returns its index and `leave` takes it. Bound: a part has four entries per connection of its
 * shard, 12 bytes each. When all sixteen entries of an address are in use by others, a connection is not counted (-1).
 *
 * A shard *first counts a connection and then reads the total*. Of two shards that do so at the same time, at least one sees both connections,
 * so together they never admit more than allowed.
 */
export class AddressTable {
	readonly #words: Int32Array;
	readonly #buckets: number;
	readonly #seed: number;
	/** Size in words. */
	readonly #firstPart: number;

	/** @throws BusError when the bytes are not such a table. */
	constructor(buffer: ArrayBufferLike) {
		this.#words = new Int32Array(buffer, 0, buffer.byteLength >> 2);
		if (this.#words[HeaderWord.magic] !== magic)
			throw new BusError(BusErrorCode.notAnAddressTable, "this is not a table of addresses", "start the cluster again");
		const problem = versionProblem(this.#words[HeaderWord.version]!, version);
		if (problem !== null) throw new BusError(BusErrorCode.notAnAddressTable, `the table of addresses ${problem}`, versionFix);
		this.#buckets = this.#words[HeaderWord.buckets]!;
		this.#seed = this.#words[HeaderWord.seed]!;
		this.#firstPart = this.#words[HeaderWord.firstPart]! >> 2;
	}

	static bytes(slots: number, connectionsPerSlot: number): number {
		return headerBytes + slots * bucketsFor(connectionsPerSlot) * bucketEntries * entryWords * 4;
	}

	/** The number of slots that a table can have: fewer than `slots` if, with more than 700,000 connections per slot, it would exceed 2 GiB. */
	static slotsThatFit(slots: number, connectionsPerSlot: number, most = bytesMax): number {
		const partBytes = AddressTable.bytes(1, connectionsPerSlot) - headerBytes;
		return Math.min(slots, Math.floor((most - headerBytes) / partBytes));
	}

	/** Creates a table in zeroed bytes, of which only `bytes(0, …)` need memory. */
	static format(buffer: ArrayBufferLike, slots: number, connectionsPerSlot: number): void {
		const words = new Int32Array(buffer, 0, headerBytes >> 2);
		words[HeaderWord.version] = packVersion(version);
		words[HeaderWord.firstPart] = headerBytes;
		words[HeaderWord.slots] = slots;
		words[HeaderWord.buckets] = bucketsFor(connectionsPerSlot);
		// Secret; otherwise clients could choose addresses that fill one bucket.
		words[HeaderWord.seed] = randomInt(2 ** 31);
		words[HeaderWord.magic] = magic;
	}

	/** Creates a table in the memory of this process. */
	static inMemory(connectionsPerSlot: number, slots = 1): AddressTable {
		const buffer = new ArrayBuffer(AddressTable.bytes(slots, connectionsPerSlot));
		AddressTable.format(buffer, slots, connectionsPerSlot);
		const table = new AddressTable(buffer);
		table.useSlots(slots);
		return table;
	}

	/** Creates the table of a process without siblings, whose limit of connections may be raised later: the system gives it memory only as it is used. */
	static ofProcess(connectionsMax: number): AddressTable {
		return AddressTable.inMemory(placesPerClient * Math.max(connectionsMax, processConnectionsLeast));
	}

	/** Called by the supervisor when slots below `count` have memory, `bytes(count, …)` in total, and before a shard in one of them counts. */
	useSlots(count: number): void {
		if (count > this.#slotsUsed) Atomics.store(this.#words, HeaderWord.slotsUsed, count);
	}

	/** Adds a connection. @returns its entry, or -1 when it could not be counted. */
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
		// Readers see a free entry until the count is stored.
		Atomics.store(this.#words, free, high);
		Atomics.store(this.#words, free + 1, low);
		Atomics.store(this.#words, free + 2, 1);
		return free;
	}

	/** Removes a connection. @param entry the result of `enter`; -1 does nothing. */
	leave(entry: number): void {
		if (entry >= 0) Atomics.sub(this.#words, entry + 2, 1);
	}

	/** The number of connections of this address on all shards. */
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

	/** Removes all connections of a shard. Called by the supervisor after the shard's process was reaped. */
	clear(slot: number): void {
		if (slot >= this.#slotsUsed) return;
		const words = this.#buckets * bucketEntries * entryWords;
		const first = this.#firstPart + slot * words;
		this.#words.fill(0, first, first + words);
	}

	get #slotsUsed(): number {
		return Atomics.load(this.#words, HeaderWord.slotsUsed);
	}

	/** The start of the address's bucket, in words. */
	#bucket(slot: number, high: number, low: number): number {
		// The finalizer of MurmurHash3 over both halves.
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

import { createHash } from "node:crypto";
import { BusRecord, type ChannelList, channelList } from "@shardcast/wire";
import { LogLayout } from "./memory/log-descriptor.ts";

/** Values derived from a channel's name, cached. */
export interface ChannelName {
	readonly name: string;
	/** The channel list for records. */
	readonly list: ChannelList;
	/** 128-bit key of the name. */
	readonly key: Int32Array;
	/** Index of the channel's log. */
	readonly log: number;
	/** Last known row; only a hint. */
	row: number;
	/** The last epoch formatted, and its text. */
	epoch0: number;
	epoch1: number;
	epochText: string;
}

/** The number of names in the cache. When it is full, the least recently used half is dropped. */
const namesMax = 16_384;

/**
 * A cache of recently used channel names. Bounded: recomputing a name takes 3 µs.
 *
 * The key is a part of a SHA-256 hash, because clients choose the names and channels with the same key would share a history. The secret keeps
 * clients from choosing names that all fall into one log or bucket.
 */
export class ChannelNames {
	readonly #secret: Uint8Array;
	#recent = new Map<string, ChannelName>();
	#older = new Map<string, ChannelName>();

	constructor(secret: Int32Array) {
		this.#secret = new Uint8Array(new Int32Array(secret).buffer);
	}

	/** 64 bits that stand for this cluster since its start: the same in all its processes, and others after a restart. */
	cluster(): readonly [number, number] {
		const digest = createHash("sha256").update(this.#secret).update("cluster").digest();
		return [digest.readInt32LE(0), digest.readInt32LE(4)];
	}

	/** @throws RangeError when the name is invalid. */
	get(name: string): ChannelName {
		const known = this.#recent.get(name);
		return known ?? this.#recall(name);
	}

	/** 64-bit hash of an idempotency key in this channel. The two words are never both 0. */
	hash(channel: ChannelName, key: string): readonly [number, number] {
		const digest = createHash("sha256").update(this.#secret).update(new Uint8Array(channel.key.buffer)).update(key).digest();
		return [digest.readInt32LE(0) || 1, digest.readInt32LE(4)];
	}

	#recall(name: string): ChannelName {
		const older = this.#older.get(name);
		const channel = older ?? this.#make(name);
		if (this.#recent.size >= namesMax / 2) {
			this.#older = this.#recent;
			this.#recent = new Map();
		}
		this.#recent.set(name, channel);
		return channel;
	}

	#make(name: string): ChannelName {
		const list = channelList([name]);
		const digest = createHash("sha256").update(this.#secret).update(list.bytes.subarray(entryHeadBytes)).digest();
		const key = Int32Array.from({ length: 4 }, (_, word) => digest.readInt32LE(word * 4));
		const log = digest.readUInt32LE(16) % LogLayout.logs;
		return { name, list, key, log, row: 0, epoch0: 0, epoch1: 0, epochText: epochText(0, 0) };
	}
}

/** Bytes before the name in an entry of a channel list: the hash, whose key may change, and the length. */
const entryHeadBytes = 5;
if (BusRecord.channelNameBytesMax > 255) throw new Error("a channel's length must fit into a byte");

/** Formats an epoch for clients. */
export function epochText(epoch0: number, epoch1: number): string {
	return `${(epoch0 >>> 0).toString(36)}-${(epoch1 >>> 0).toString(36)}`;
}

/** Reads what `epochText` has written; null for other text. */
export function epochParts(text: string): readonly [number, number] | null {
	const [first, second, ...rest] = text.split("-").map((half) => Number.parseInt(half, 36) | 0);
	if (first === undefined || second === undefined || rest.length > 0) return null;
	return epochText(first, second) === text ? [first, second] : null;
}

/** Like `epochText`; caches the last text per channel. */
export function epochOf(channel: ChannelName, epoch0: number, epoch1: number): string {
	if (channel.epoch0 !== epoch0 || channel.epoch1 !== epoch1) {
		channel.epochText = epochText(epoch0, epoch1);
		channel.epoch0 = epoch0;
		channel.epoch1 = epoch1;
	}
	return channel.epochText;
}

import { createHash } from "node:crypto";
import { BusRecord, type ChannelList, channelList } from "@shardcast/wire";
import { LogLayout } from "./memory/log-descriptor.ts";

/** What is derived from a channel's name: computed once, then looked up. */
export interface ChannelName {
	readonly name: string;
	/** For records. */
	readonly list: ChannelList;
	/** 128 bits that stand for the name. */
	readonly key: Int32Array;
	/** Which of the logs it belongs to. */
	readonly log: number;
	/** Where its row was last; only a hint. */
	row: number;
	/** The last epoch that was asked for, and its text. */
	epoch0: number;
	epoch1: number;
	epochText: string;
}

/** The number of names in the cache. When it is full, the least recently used half is dropped. */
const namesMax = 16_384;

/**
 * The channel names that a process has used lately. Bounded: a forgotten one costs 3 µs to work out again.
 *
 * The key is a part of SHA-256, for clients choose the names: two channels that shared a key would share a history. The secret keeps them from
 * choosing names that all fall into one log, or one bucket.
 */
export class ChannelNames {
	readonly #secret: Uint8Array;
	#recent = new Map<string, ChannelName>();
	#older = new Map<string, ChannelName>();

	constructor(secret: Int32Array) {
		this.#secret = new Uint8Array(new Int32Array(secret).buffer);
	}

	/** @throws RangeError when the name is invalid. */
	get(name: string): ChannelName {
		const known = this.#recent.get(name);
		return known ?? this.#recall(name);
	}

	/** 64 bits that stand for an idempotency key in this channel, never both 0. */
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

/** Before the name in a channel list's entry: the hash, whose key may change, and the length. */
const entryHeadBytes = 5;
if (BusRecord.channelNameBytesMax > 255) throw new Error("a channel's length must fit into a byte");

/** The two halves as they are told to clients. */
export function epochText(epoch0: number, epoch1: number): string {
	return `${(epoch0 >>> 0).toString(36)}-${(epoch1 >>> 0).toString(36)}`;
}

/** The same for a channel, from memory when it is the last one that was asked for. */
export function epochOf(channel: ChannelName, epoch0: number, epoch1: number): string {
	if (channel.epoch0 !== epoch0 || channel.epoch1 !== epoch1) {
		channel.epochText = epochText(epoch0, epoch1);
		channel.epoch0 = epoch0;
		channel.epoch1 = epoch1;
	}
	return channel.epochText;
}

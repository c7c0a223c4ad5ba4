import type { BusLink } from "@shardcast/bus";
import type { Position } from "@shardcast/channel-log";
import { everybody, monotonicMs, noExtensions, RecordKind, RecordType, recordBytes, writeRecord } from "@shardcast/wire";
import type { ChannelRecordType } from "../delivery/fan-out.ts";

interface ChannelRecordsParts {
	readonly ring: Pick<BusLink, "claim" | "commit" | "u8" | "view">;
	/** Sends a record to other nodes. @param record is in the ring. */
	readonly relay: (record: Uint8Array) => void;
	/** Called after each record that was committed to the ring. */
	readonly onCommit: () => void;
}

/** The payloads of these records, as JSON. */
interface ChannelRecordPayloads {
	/** Each with the position after which publications are wanted; null = only new ones. */
	readonly [RecordType.follow]: readonly (readonly [channel: string, since: Position | null])[];
	readonly [RecordType.followed]: readonly (readonly [channel: string, position: Position])[];
	readonly [RecordType.restarted]: readonly string[];
	readonly [RecordType.noticed]: readonly (readonly [channel: string, position: Position])[];
}

/** Most channels in a record; a name has up to 255 bytes. */
export const listedMax = 64;

/** Writes the records by which shards exchange information about channels of other nodes. */
export class ChannelRecords {
	readonly #parts: ChannelRecordsParts;

	constructor(parts: ChannelRecordsParts) {
		this.#parts = parts;
	}

	/** @param slot of the target shard; null = all shards, including this one. @returns false when the ring has no room. */
	send<T extends ChannelRecordType>(type: T, slot: number | null, about: ChannelRecordPayloads[T]): boolean {
		const { ring, onCommit, relay } = this.#parts;
		const payload = Buffer.from(JSON.stringify(about));
		const bytes = recordBytes(everybody, payload.length);
		const at = ring.claim(bytes);
		if (at < 0) return false;
		const fields = { type, kind: RecordKind.text, targetSlot: slot, sender: 0, senderShard: 0, publishedMs: monotonicMs() };
		ring.u8.set(payload, writeRecord(ring.view, ring.u8, at, { ...fields, channels: everybody, extensions: noExtensions }));
		if (type === RecordType.noticed) relay(ring.u8.subarray(at, at + bytes));
		ring.commit();
		onCommit();
		return true;
	}

	/** Decodes the payload of a record that `send` has written. */
	static read<T extends ChannelRecordType>(_type: T, payload: Uint8Array): ChannelRecordPayloads[T] {
		return JSON.parse(Buffer.from(payload.buffer, payload.byteOffset, payload.length).toString()) as ChannelRecordPayloads[T];
	}
}

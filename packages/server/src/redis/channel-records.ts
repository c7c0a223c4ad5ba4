import type { BusLink } from "@shardcast/bus";
import type { Position } from "@shardcast/channel-log";
import { everybody, monotonicMs, noExtensions, RecordKind, type RecordType, recordBytes, writeRecord } from "@shardcast/wire";
import type { ChannelNews } from "../delivery/fan-out.ts";

export interface ChannelRecordsParts {
	readonly ring: Pick<BusLink, "claim" | "commit" | "u8" | "view">;
	/** Called after each record that is in the ring. */
	readonly onCommit: () => void;
}

/** What the records carry, as JSON. */
export interface ChannelNewsOf {
	readonly [RecordType.follow]: readonly string[];
	readonly [RecordType.followed]: readonly (readonly [channel: string, position: Position])[];
	readonly [RecordType.lost]: readonly string[];
}

/** What a record may list, at up to 255 bytes a name. */
export const listedMax = 64;

/** Writes records by which shards tell each other about channels of other machines. */
export class ChannelRecords {
	readonly #parts: ChannelRecordsParts;

	constructor(parts: ChannelRecordsParts) {
		this.#parts = parts;
	}

	/** @param slot null = to every shard, this one as well. @returns false when the ring has no room. */
	send<T extends ChannelNews>(type: T, slot: number | null, about: ChannelNewsOf[T]): boolean {
		const { ring, onCommit } = this.#parts;
		const payload = Buffer.from(JSON.stringify(about));
		const at = ring.claim(recordBytes(everybody, payload.length));
		if (at < 0) return false;
		const fields = { type, kind: RecordKind.text, targetSlot: slot, sender: 0, senderShard: 0, publishedMs: monotonicMs() };
		ring.u8.set(payload, writeRecord(ring.view, ring.u8, at, { ...fields, channels: everybody, extensions: noExtensions }));
		ring.commit();
		onCommit();
		return true;
	}

	/** Of a record that `send` has written. */
	static read<T extends ChannelNews>(_type: T, payload: Uint8Array): ChannelNewsOf[T] {
		return JSON.parse(Buffer.from(payload.buffer, payload.byteOffset, payload.length).toString()) as ChannelNewsOf[T];
	}
}

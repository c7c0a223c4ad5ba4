import { hasFlag, type LogRecordHead, RecordFlag } from "@shardcast/channel-log";
import { asJson, createRecordHead, type RecordExtensions, readExtensions } from "@shardcast/wire";
import type { Encoder } from "../hub/audience.ts";
import { decodePublisherInfo, type PublisherInfo } from "./publishing/publisher-info.ts";

const empty = new Uint8Array(0);
const nothing: RecordExtensions = {};

/**
 * The record that is being delivered, for the encoders of the protocols: what they need of it is worked out once, for whoever asks first.
 * One per shard, filled again for each record: nothing of it may be kept.
 */
export class DeliveredRecord {
	/** Filled in by whoever delivers. */
	readonly head = createRecordHead();
	u8: Uint8Array = empty;
	view: DataView = new DataView(empty.buffer);
	payload: Uint8Array = empty;
	/** Counts the records: another number for each. */
	serial = 0;
	/** Who made the last frame of this record, and the frame: for encoders that make the same one. */
	framedBy: Encoder | null = null;
	frame: Uint8Array = empty;
	/** What its log knows about it; null = it came over the bus. */
	#logged: LogRecordHead | null = null;
	#extensions: RecordExtensions | undefined;
	#tags: ReadonlyMap<string, string> | null | undefined;
	#publisher: PublisherInfo | null | undefined;
	#json: Uint8Array | null = null;
	/** The frame that was copied last, and its copy. */
	#copied: Uint8Array | null = null;
	#copy = empty;

	/** The next one; its head has been read. */
	set(u8: Uint8Array, view: DataView, payload: Uint8Array, logged: LogRecordHead | null): void {
		this.u8 = u8;
		this.view = view;
		this.payload = payload;
		this.serial++;
		this.framedBy = null;
		this.frame = empty;
		this.#logged = logged;
		this.#extensions = undefined;
		this.#tags = undefined;
		this.#publisher = undefined;
		this.#json = null;
		this.#copied = null;
		this.#copy = empty;
	}

	/** A copy of a frame of this record, which lies in the ring: one for all that keep the same frame. Nobody may change it. */
	copyOf(frame: Uint8Array): Uint8Array {
		if (this.#copied !== frame) {
			this.#copied = frame;
			this.#copy = Uint8Array.from(frame);
		}
		return this.#copy;
	}

	/** The client that published it; null = it was no client of a protocol. */
	get publisher(): PublisherInfo | null {
		if (this.#publisher === undefined) {
			const info = this.#loggedPart(this.#logged?.infoBytes, 0) ?? this.#carried.info;
			this.#publisher = info === undefined ? null : decodePublisherInfo(info);
		}
		return this.#publisher;
	}

	/** Null = it has none. */
	get tags(): ReadonlyMap<string, string> | null {
		if (this.#tags === undefined) {
			const logged = this.#loggedPart(this.#logged?.tagsBytes, this.#logged?.infoBytes);
			const tags = logged === undefined ? this.#carried.tags : (JSON.parse(textOf(logged)) as Record<string, string>);
			this.#tags = tags === undefined ? null : new Map(Object.entries(tags));
		}
		return this.#tags;
	}

	/** Its place in the history of its channel; 0 = the channel keeps none. */
	get offset(): number {
		return this.#logged?.offset ?? 0;
	}

	/** Of the publication before it in its channel; 0 = it is the first. */
	get previousOffset(): number {
		return this.#logged?.previous ?? 0;
	}

	/** It may go out as the difference to the one before. */
	get isDelta(): boolean {
		return this.#logged !== null && hasFlag(this.#logged, RecordFlag.delta);
	}

	/** Info, then tags lie behind the event. */
	#loggedPart(bytes = 0, behind = 0): Uint8Array | undefined {
		const start = this.head.payloadEnd + behind;
		return bytes === 0 ? undefined : this.u8.subarray(start, start + bytes);
	}

	get #carried(): RecordExtensions {
		const { head } = this;
		if (head.extensionsStart === head.payloadStart) return nothing;
		this.#extensions ??= readExtensions(this.u8, this.view, head);
		return this.#extensions;
	}

	/**
	 * The payload as JSON: as it is when that is what it is, another text as a string, other bytes as a string in Base64. Costs one look at
	 * each byte, once per record and shard, and only where somebody listens by a protocol that is JSON.
	 */
	get json(): Uint8Array {
		this.#json ??= asJson(this.payload, this.head.kind);
		return this.#json;
	}
}

function textOf(payload: Uint8Array): string {
	return Buffer.from(payload.buffer, payload.byteOffset, payload.length).toString();
}

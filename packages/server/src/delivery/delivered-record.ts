import { hasFlag, type LogRecordHead, RecordFlag } from "@shardcast/channel-log";
import { asJson, createRecordHead, decodePublisherInfo, type PublisherInfo, type RecordExtensions, readExtensions } from "@shardcast/wire";
import type { Encoder } from "../hub/audience.ts";
import { SharedFrame } from "./shared-frame.ts";

const empty = new Uint8Array(0);
const nothing: RecordExtensions = {};

/**
 * The record being delivered, for the encoders of the protocols. Derived values are computed on first use. One per shard, reused for each record:
 * do not keep references to its parts.
 */
export class DeliveredRecord {
	/** Filled in by the caller. */
	readonly head = createRecordHead();
	u8: Uint8Array = empty;
	view: DataView = new DataView(empty.buffer);
	payload: Uint8Array = empty;
	/** A different number for each record. */
	serial = 0;
	/** The encoder of the last frame of this record, and the frame, for encoders that make the same one. */
	framedBy: Encoder | null = null;
	frame: Uint8Array = empty;
	/** Its head in the log; null = it came over the bus. */
	#logged: LogRecordHead | null = null;
	#extensions: RecordExtensions | undefined;
	#tags: ReadonlyMap<string, string> | null | undefined;
	#publisher: PublisherInfo | null | undefined;
	#json: Uint8Array | null = null;
	/** The last copied frame, and its copy. */
	#copied: Uint8Array | null = null;
	#copy: SharedFrame | null = null;

	/** Starts with the next record, whose head has been read. */
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
		this.#copy = null;
	}

	/** A copy of a frame of this record, whose bytes are in the ring. Shared by all callers with the same frame. */
	copyOf(frame: Uint8Array): SharedFrame {
		if (this.#copied !== frame || this.#copy === null) {
			this.#copied = frame;
			this.#copy = new SharedFrame(Uint8Array.from(frame));
		}
		return this.#copy;
	}

	/** The client that published it; null = not a client of a protocol. */
	get publisher(): PublisherInfo | null {
		if (this.#publisher === undefined) {
			const info = this.#loggedPart(this.#logged?.infoBytes, 0) ?? this.#carried.info;
			this.#publisher = info === undefined ? null : decodePublisherInfo(info);
		}
		return this.#publisher;
	}

	/** Null without tags. */
	get tags(): ReadonlyMap<string, string> | null {
		if (this.#tags === undefined) {
			const logged = this.#loggedPart(this.#logged?.tagsBytes, this.#logged?.infoBytes);
			const tags = logged === undefined ? this.#carried.tags : (JSON.parse(textOf(logged)) as Record<string, string>);
			this.#tags = tags === undefined ? null : new Map(Object.entries(tags));
		}
		return this.#tags;
	}

	/** Offset in the history of its channel; 0 = the channel has no history. */
	get offset(): number {
		return this.#logged?.offset ?? 0;
	}

	/** Offset of the previous publication in its channel; 0 for the first. */
	get previousOffset(): number {
		return this.#logged?.previous ?? 0;
	}

	/** Whether it may be sent as a delta to the previous publication. */
	get isDelta(): boolean {
		return this.#logged !== null && hasFlag(this.#logged, RecordFlag.delta);
	}

	/** Info and tags follow the event. */
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
	 * The payload as JSON: valid JSON stays as it is, other text becomes a string, and binary data becomes a Base64 string. Reads each byte once per
	 * record and shard, and only if a subscriber uses a JSON protocol.
	 */
	get json(): Uint8Array {
		this.#json ??= asJson(this.payload, this.head.kind);
		return this.#json;
	}
}

function textOf(payload: Uint8Array): string {
	return Buffer.from(payload.buffer, payload.byteOffset, payload.length).toString();
}

import type { DeliveredRecord } from "../../../delivery/delivered-record.ts";
import type { Encoder } from "../../../hub/audience.ts";
import type { Framing } from "../framing.ts";

/** Encodes the publications of one channel for some of its subscribers, all in one encoding and on one kind of transport. */
export interface ChannelVariant extends Encoder {
	readonly channel: string;
	readonly framing: Framing;
}

/** Encodes the publications of one channel for all subscribers that use one encoding on one kind of transport. */
export class ChannelEncoder implements ChannelVariant {
	readonly isBinary: boolean;
	readonly channel: string;
	readonly framing: Framing;
	readonly #publications: ReturnType<Framing["publications"]>;

	constructor(channel: string, framing: Framing) {
		this.isBinary = framing.codec.binary;
		this.channel = channel;
		this.framing = framing;
		this.#publications = framing.publications(channel);
	}

	/** Returns the last result when asked again about the same record, as encoders with a filter do. */
	encode(record: DeliveredRecord): Uint8Array {
		if (record.framedBy === this) return record.frame;
		const { offset, publisher: info, tags } = record;
		const data = this.isBinary ? record.payload : record.json;
		const frame = this.framing.frame([this.#publications.encode({ data, offset, info, tags: tags ?? undefined })]);
		record.framedBy = this;
		record.frame = frame;
		return frame;
	}
}

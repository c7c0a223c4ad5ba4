import type { DeliveredRecord } from "../../../delivery/delivered-record.ts";
import type { Encoder } from "../../../hub/audience.ts";
import type { Framing } from "../framing.ts";

/** Encodes the publications of one channel as pushes, once for all subscribers with the same encoding and kind of transport. */
export class ChannelEncoder implements Encoder {
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

	encode(record: DeliveredRecord): Uint8Array {
		const { offset, publisher: info, tags } = record;
		const data = this.isBinary ? record.payload : record.json;
		return this.framing.frame([this.#publications.encode({ data, offset, info, tags: tags ?? undefined })]);
	}
}

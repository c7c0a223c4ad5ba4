import type { Publication } from "@shardcast/protocol";
import type { DeliveredRecord } from "../../delivery/delivered-record.ts";
import type { Encoder } from "../../hub/audience.ts";
import type { Framing } from "./framing.ts";

/** Makes the push of a publication in one channel, for all of its subscribers in one encoding. */
export class PublicationEncoder implements Encoder {
	readonly isBinary: boolean;
	readonly #channel: string;
	readonly #framing: Framing;

	constructor(channel: string, framing: Framing) {
		this.isBinary = framing.codec.binary;
		this.#channel = channel;
		this.#framing = framing;
	}

	encode(record: DeliveredRecord): Uint8Array {
		const pub: Publication = { data: this.isBinary ? record.payload : record.json, offset: record.offset };
		return this.#framing.frame([this.#framing.push({ channel: this.#channel, pub })]);
	}
}

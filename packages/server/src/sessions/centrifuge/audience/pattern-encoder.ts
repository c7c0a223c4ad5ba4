import type { DeliveredRecord } from "../../../delivery/delivered-record.ts";
import type { Encoder } from "../../../hub/audience.ts";
import type { Framing } from "../framing.ts";

/** Encodes publications for the subscribers of a pattern in one encoding: pushes of the pattern, which say in which channel they were made. */
export class PatternEncoder implements Encoder {
	readonly isBinary: boolean;
	/** The pattern, which stands for a channel in the protocol. */
	readonly channel: string;
	readonly framing: Framing;
	/** The parts of the pattern. */
	readonly segments: readonly string[];
	/** The last selection that took this audience. Written by `PatternAudiences`, as is the next. */
	selection = 0;
	/** The channel of the record that is being delivered. */
	name = "";
	readonly #publications: ReturnType<Framing["publications"]>;

	constructor(pattern: string, segments: readonly string[], framing: Framing) {
		this.isBinary = framing.codec.binary;
		this.channel = pattern;
		this.framing = framing;
		this.segments = segments;
		this.#publications = framing.publications(pattern);
	}

	/** Without an offset: that of one channel means nothing for the others. */
	encode(record: DeliveredRecord): Uint8Array {
		const { publisher: info, tags } = record;
		const data = this.isBinary ? record.payload : record.json;
		return this.framing.frame([this.#publications.encode({ data, info, tags: tags ?? undefined, channel: this.name })]);
	}
}

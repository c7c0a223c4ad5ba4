import type { DeliveredRecord } from "../../../delivery/delivered-record.ts";
import type { Encoder } from "../../../hub/audience.ts";
import type { Framing } from "../framing.ts";

/** Encodes publications for the subscribers of a pattern in one encoding. Each push names the pattern, and the channel of the publication. */
export class PatternEncoder implements Encoder {
	readonly isBinary: boolean;
	/** The pattern, used as the channel in pushes. */
	readonly channel: string;
	readonly framing: Framing;
	/** The segments of the pattern. */
	readonly segments: readonly string[];
	/** The last selection that included this audience. Only `PatternAudiences` writes this and the next field. */
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

	/** Leaves out the offset: a pattern covers several channels, and each has its own offsets. */
	encode(record: DeliveredRecord): Uint8Array {
		const { publisher: info, tags } = record;
		const data = this.isBinary ? record.payload : record.json;
		return this.framing.frame([this.#publications.encode({ data, info, tags: tags ?? undefined, channel: this.name })]);
	}
}

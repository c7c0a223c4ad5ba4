import type { TagFilter } from "@shardcast/channels";
import type { DeliveredRecord } from "../../../delivery/delivered-record.ts";
import type { Audience } from "../../../hub/audience.ts";
import type { Framing } from "../framing.ts";
import type { ChannelEncoder, ChannelVariant } from "./channel-encoder.ts";

/** One tag filter in one channel, shared by its subscribers in all encodings. Evaluated once for each publication. */
export class SharedFilter {
	readonly filter: TagFilter;
	/** One for each encoding. */
	readonly audiences: Audience[] = [];
	#serial = -1;
	#matches = false;

	constructor(filter: TagFilter) {
		this.filter = filter;
	}

	matches(record: DeliveredRecord): boolean {
		if (record.serial === this.#serial) return this.#matches;
		this.#serial = record.serial;
		this.#matches = this.filter.matches(record.tags);
		return this.#matches;
	}
}

/**
 * Encodes for the subscribers of a channel with one filter, in one encoding. A publication that matches has the same bytes as for subscribers
 * without a filter.
 */
export class FilteredEncoder implements ChannelVariant {
	readonly isBinary: boolean;
	readonly channel: string;
	readonly framing: Framing;
	readonly plain: ChannelEncoder;
	readonly filter: SharedFilter;

	constructor(plain: ChannelEncoder, filter: SharedFilter) {
		this.isBinary = plain.isBinary;
		this.channel = plain.channel;
		this.framing = plain.framing;
		this.plain = plain;
		this.filter = filter;
	}

	encode(record: DeliveredRecord): Uint8Array | null {
		return this.filter.matches(record) ? this.plain.encode(record) : null;
	}
}

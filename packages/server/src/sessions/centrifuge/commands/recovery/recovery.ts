import type { ChannelLog, GivenNumbering, History, Publication as LoggedPublication, LogReader, Position } from "@shardcast/channel-log";
import type { RecordRange } from "@shardcast/kafka";
import { type Publication, quoteJson, type StreamPosition } from "@shardcast/protocol";
import { asJson, decodePublisherInfo } from "@shardcast/wire";
import type { SubscriptionView } from "../../audience/subscription.ts";
import type { Framing } from "../../framing.ts";

interface RecoveryParts {
	readonly log: Pick<ChannelLog, "history" | "position">;
	/** Everything it has read has been delivered to this shard's clients. */
	readonly reader: LogReader;
	/** A client that missed more publications is not recovered. Read at each use. */
	readonly publicationsMax: () => number;
}

/** What a returning client gets from memory. */
export interface Recovered {
	readonly recovered: boolean;
	/** The channel's position, as this shard's clients have seen it. */
	readonly position: Position;
	/** The missed publications, in order; empty if the client is not recovered. */
	readonly publications: readonly LoggedPublication[];
	/** What memory does not hold but Kafka may; null = nothing. */
	readonly gap: KafkaGap | null;
}

/** A part of the partition that feeds the channel, in Kafka offsets. */
export interface KafkaGap {
	/** Identifies the partition. */
	readonly epoch: string;
	readonly from: number;
	/** Exclusive. */
	readonly to: number;
}

/** What a returning client gets, partly from Kafka. */
export interface Joined {
	readonly position: Position;
	/** The range of records read from Kafka: the first, and one past the last. */
	readonly start: number;
	readonly end: number;
	/** The following publications, from memory. */
	readonly publications: readonly LoggedPublication[];
}

/**
 * Reads a channel's past. A shard answers as of what it has delivered to its clients so far, not as of the end of the log. If the client is
 * subscribed in the same step, the answer and later deliveries have no gap and no duplicate.
 *
 * Null = the answer is not available now; ask again in a later turn of the loop.
 */
export class Recovery {
	readonly #parts: RecoveryParts;

	constructor(parts: RecoveryParts) {
		this.#parts = parts;
	}

	position(channel: string): Position | null {
		const { log, reader } = this.#parts;
		return log.position(channel, reader);
	}

	/** The publications after `since`. A client from a faster shard may be ahead; it has to wait until this shard has caught up. */
	recover(channel: string, since: StreamPosition, publicationsMax = this.#parts.publicationsMax()): Recovered | null {
		const { log, reader } = this.#parts;
		const now = log.history(channel, { limit: 0, asOf: reader });
		if (now === null) return null;
		const { position, given } = now;
		const failed = { recovered: false, position, publications: [], gap: null };
		if (!isEpochOf(now, since.epoch)) return failed;
		if (since.offset > position.offset) {
			const latest = log.position(channel);
			if (latest === null || (latest.epoch === position.epoch && since.offset <= latest.offset)) return null;
		}
		if (since.offset >= position.offset) return { ...failed, recovered: since.offset === position.offset };
		const missed = log.history(channel, {
			since: { offset: since.offset, epoch: position.epoch },
			limit: publicationsMax,
			asOf: reader,
			allOrNone: true,
		});
		if (missed === null) return null;
		const { publications } = missed;
		// Kafka's offsets have gaps, so each publication carries the offset of the one before it.
		const isWhole = publications[0]?.previousOffset === since.offset && publications.at(-1)!.offset === position.offset;
		if (isWhole) return { ...failed, recovered: true, publications };
		return { ...failed, gap: given === undefined ? null : gapIn(given, since, position.offset) };
	}

	/**
	 * The missed publications: `range` from Kafka, the rest from memory. A gap in the result = Kafka must be read further, because memory does
	 * not hold what follows the range.
	 */
	join(
		channel: string,
		since: StreamPosition,
		{ records, to }: RecordRange,
	): Joined | { readonly gap: KafkaGap | null; readonly position: Position } | null {
		const { log, reader } = this.#parts;
		const now = log.history(channel, { limit: 0, asOf: reader });
		if (now === null) return null;
		const { position, given } = now;
		const gap = given === undefined || !isEpochOf(now, since.epoch) ? null : gapIn(given, since, position.offset);
		if (gap === null || position.offset <= since.offset) return { gap: null, position };
		const start = placeAfter(records, since.offset);
		// Wire offsets are Kafka's + 1, so the range has all up to the offset `to`.
		if (position.offset <= to) return { position, start, end: placeAfter(records, position.offset), publications: [] };
		const later = log.history(channel, {
			since: { offset: to, epoch: position.epoch },
			limit: this.#parts.publicationsMax(),
			asOf: reader,
			allOrNone: true,
		});
		if (later === null) return null;
		const { publications } = later;
		const isWhole = publications.length > 0 && publications[0]!.previousOffset <= to && publications.at(-1)!.offset === position.offset;
		return isWhole ? { position, start, end: records.length, publications } : { gap, position };
	}
}

/** An empty epoch matches any. Subscribers of a channel that had no publications yet were given an epoch other than that of Kafka, Redis or the store. */
function isEpochOf({ position, given }: History, epoch: string): boolean {
	return epoch === "" || epoch === position.epoch || epoch === given?.epoch || epoch === given?.formerEpoch;
}

/** What Kafka may hold for a client at `since`, if it feeds the channel; null = it is not known whether everything it missed is there. */
function gapIn({ epoch, born, removed }: GivenNumbering, since: StreamPosition, offset: number): KafkaGap | null {
	if (since.offset < removed) return null;
	// The client had seen none, so it missed everything since the channel's first publication. In Kafka's own epoch, 0 is not a position.
	if (since.offset === 0) return since.epoch === epoch ? null : { epoch, from: born - 1, to: offset };
	return since.offset < born ? null : { epoch, from: since.offset, to: offset };
}

/** The number of records, which are in order, up to this offset. */
function placeAfter(records: RecordRange["records"], offset: number): number {
	let from = 0;
	let to = records.length;
	while (from < to) {
		const middle = (from + to) >> 1;
		if (records[middle]!.offset <= offset) from = middle + 1;
		else to = middle;
	}
	return from;
}

/** Converts what a subscriber missed. No deltas, but JSON subscribers that take deltas get data as strings. */
export function publicationsFor(
	framing: Framing,
	publications: readonly LoggedPublication[],
	{ filter, delta }: SubscriptionView,
): readonly Publication[] {
	const isString = delta && !framing.codec.binary;
	return publications.flatMap((logged) => {
		const publication = publicationFor(framing, logged);
		if (filter !== null && !filter.matches(publication.tags ?? null)) return [];
		return isString ? { ...publication, data: quoteJson(publication.data) } : publication;
	});
}

/** Converts a publication to the message that a client gets. */
export function publicationFor(framing: Framing, { data, kind, offset, info, tags }: LoggedPublication): Publication {
	return {
		data: framing.codec.binary ? data : asJson(data, kind),
		offset,
		info: info === undefined ? null : decodePublisherInfo(info),
		tags: tags === undefined ? undefined : new Map(Object.entries(tags)),
	};
}

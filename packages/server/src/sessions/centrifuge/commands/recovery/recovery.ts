import type { ChannelLog, History, KafkaNumbering, Publication as LoggedPublication, LogReader, Position } from "@shardcast/channel-log";
import type { RecordRange } from "@shardcast/kafka";
import { type Publication, quoteJson, type StreamPosition } from "@shardcast/protocol";
import { asJson } from "@shardcast/wire";
import { decodePublisherInfo } from "../../../../delivery/publishing/publisher-info.ts";
import type { SubscriptionView } from "../../audience/subscription.ts";
import type { Framing } from "../../framing.ts";

export interface RecoveryParts {
	readonly log: Pick<ChannelLog, "history" | "position">;
	/** Whatever it has read has been delivered to this shard's clients. */
	readonly reader: LogReader;
	/** A client that missed more publications than this is not recovered. Read at each use. */
	readonly publicationsMax: () => number;
}

/** What a returning client gets. */
export interface Recovered {
	readonly recovered: boolean;
	/** The position of the channel, as this shard's clients have seen it. */
	readonly position: Position;
	/** The publications that it missed, in order; empty if it is not recovered. */
	readonly publications: readonly LoggedPublication[];
	/** What the memory does not hold and Kafka may have; null = nothing. */
	readonly gap: KafkaGap | null;
}

/** A part of the partition that feeds the channel, by Kafka's offsets. */
export interface KafkaGap {
	/** Stands for the partition. */
	readonly epoch: string;
	readonly from: number;
	/** Not part of it. */
	readonly to: number;
}

/** What a returning client gets of which Kafka has a part. */
export interface Joined {
	readonly position: Position;
	/** Of the records that were read from Kafka, the first, and the one behind the last. */
	readonly start: number;
	readonly end: number;
	/** What follows, from memory. */
	readonly publications: readonly LoggedPublication[];
}

/**
 * Answers questions about a channel's past. A shard answers as of what it has delivered to its clients so far, not as of the end of the log.
 * If the client is subscribed in the same step, the answer and the later deliveries have no gap and no duplicate.
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

	/** The publications after `since`. A client that comes from a faster shard may be ahead; it waits until this shard has caught up. */
	recover(channel: string, since: StreamPosition, publicationsMax = this.#parts.publicationsMax()): Recovered | null {
		const { log, reader } = this.#parts;
		const now = log.history(channel, { limit: 0, asOf: reader });
		if (now === null) return null;
		const { position, kafka } = now;
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
		return { ...failed, gap: kafka === undefined ? null : gapIn(kafka, since, position.offset) };
	}

	/**
	 * What a client has missed, from `range` of Kafka and from there on from memory. A gap = Kafka has to be read further: the memory does not hold
	 * what has come behind the range.
	 */
	join(
		channel: string,
		since: StreamPosition,
		{ records, to }: RecordRange,
	): Joined | { readonly gap: KafkaGap | null; readonly position: Position } | null {
		const { log, reader } = this.#parts;
		const now = log.history(channel, { limit: 0, asOf: reader });
		if (now === null) return null;
		const { position, kafka } = now;
		const gap = kafka === undefined || !isEpochOf(now, since.epoch) ? null : gapIn(kafka, since, position.offset);
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

/** An epoch that is not told may be any. Subscribers of a channel that had no publications yet were told another one than Kafka's. */
function isEpochOf({ position, kafka }: History, epoch: string): boolean {
	return epoch === "" || epoch === position.epoch || epoch === kafka?.epoch || epoch === kafka?.formerEpoch;
}

/** What Kafka may have for a client that was at `since`; null = nobody knows whether all that it has missed is there. */
function gapIn({ epoch, born, removed }: KafkaNumbering, since: StreamPosition, offset: number): KafkaGap | null {
	if (since.offset < removed) return null;
	// It had seen none: all since the channel began to have publications. In Kafka's own epoch 0 is no position.
	if (since.offset === 0) return since.epoch === epoch ? null : { epoch, from: born - 1, to: offset };
	return since.offset < born ? null : { epoch, from: since.offset, to: offset };
}

/** How many of the records, which are in order, come up to this offset. */
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

/** Converts what a subscriber missed: without deltas, but in JSON the data of subscribers that take them is a string. */
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

/** Converts a publication to what a client gets. */
export function publicationFor(framing: Framing, { data, kind, offset, info, tags }: LoggedPublication): Publication {
	return {
		data: framing.codec.binary ? data : asJson(data, kind),
		offset,
		info: info === undefined ? null : decodePublisherInfo(info),
		tags: tags === undefined ? undefined : new Map(Object.entries(tags)),
	};
}

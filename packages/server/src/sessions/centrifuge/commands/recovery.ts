import type { ChannelLog, Publication as LoggedPublication, LogReader, Position } from "@shardcast/channel-log";
import type { Publication, StreamPosition } from "@shardcast/protocol";
import { asJson } from "../../../delivery/delivered-record.ts";
import { decodePublisherInfo } from "../../../delivery/publishing/publisher-info.ts";
import type { Framing } from "../framing.ts";

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
	recover(channel: string, since: StreamPosition): Recovered | null {
		const { log, reader } = this.#parts;
		const publicationsMax = this.#parts.publicationsMax();
		const position = log.position(channel, reader);
		if (position === null) return null;
		if (since.epoch !== "" && since.epoch !== position.epoch) return { recovered: false, position, publications: [] };
		if (since.offset > position.offset) {
			const latest = log.position(channel);
			if (latest === null || (latest.epoch === position.epoch && since.offset <= latest.offset)) return null;
		}
		if (since.offset >= position.offset) return { recovered: since.offset === position.offset, position, publications: [] };
		const missed = log.history(channel, {
			since: { offset: since.offset, epoch: position.epoch },
			limit: publicationsMax + 1,
			asOf: reader,
		});
		if (missed === null) return null;
		const { publications } = missed;
		// Kafka's offsets have gaps, so each publication carries the offset of the one before it.
		const isWhole = publications[0]?.previousOffset === since.offset && publications.at(-1)!.offset === position.offset;
		if (!isWhole || publications.length > publicationsMax) return { recovered: false, position, publications: [] };
		return { recovered: true, position, publications };
	}
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

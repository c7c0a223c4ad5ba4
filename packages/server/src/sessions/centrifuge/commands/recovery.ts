import type { ChannelLog, Publication as LoggedPublication, LogReader, Position } from "@shardcast/channel-log";
import type { Publication, StreamPosition } from "@shardcast/protocol";
import { asJson } from "../../../delivery/delivered-record.ts";
import { decodePublisherInfo } from "../../../delivery/publishing/publisher-info.ts";
import type { Framing } from "../framing.ts";

export interface RecoveryParts {
	readonly log: Pick<ChannelLog, "history" | "position">;
	/** What it has read, this shard's clients have been given. */
	readonly reader: LogReader;
	/** With more missed publications than this a client is not recovered. Looked up at each use. */
	readonly publicationsMax: () => number;
}

/** What a client that comes back gets. */
export interface Recovered {
	readonly recovered: boolean;
	/** Where the channel is, for this shard's clients. */
	readonly position: Position;
	/** What it has missed, in order; none when it is not recovered. */
	readonly publications: readonly LoggedPublication[];
}

/**
 * What clients get of a channel's past. A shard answers from what it has given to its clients so far, not from the end of the log: then what is
 * answered and what is delivered afterwards have neither a hole nor a duplicate, if the client is subscribed in the same step.
 *
 * Null = it cannot tell now: ask again in a later turn of the loop.
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

	/** What comes after `since`. A client that is ahead, because it comes from a faster shard, waits until this one has caught up. */
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
		// Kafka's offsets have gaps: a publication says which one was before it.
		const isWhole = publications[0]?.previousOffset === since.offset && publications.at(-1)!.offset === position.offset;
		if (!isWhole || publications.length > publicationsMax) return { recovered: false, position, publications: [] };
		return { recovered: true, position, publications };
	}
}

/** As a client gets it. */
export function publicationFor(framing: Framing, { data, kind, offset, info, tags }: LoggedPublication): Publication {
	return {
		data: framing.codec.binary ? data : asJson(data, kind),
		offset,
		info: info === undefined ? null : decodePublisherInfo(info),
		tags: tags === undefined ? undefined : new Map(Object.entries(tags)),
	};
}

import type { ChannelLog, LogReader, Publication } from "@shardcast/channel-log";
import type { StreamReads } from "./stream-reads.ts";

interface OlderPublicationsParts {
	readonly log: Pick<ChannelLog, "history">;
	readonly reads: StreamReads;
}

/** The publications of a channel whose history is on another machine, and that the logs bring to this one: the newest are in the log, older ones must be read. */
export class OlderPublications {
	readonly #parts: OlderPublicationsParts;

	constructor(parts: OlderPublicationsParts) {
		this.#parts = parts;
	}

	/**
	 * All publications after offset `from` up to offset `to`. Offsets must have no gaps.
	 * @param most the most publications that are worth reading at once. @returns null = ask again in a later turn, "gone" = some are no longer kept.
	 */
	between(
		{ channel, epoch, asOf }: { readonly channel: string; readonly epoch: string; readonly asOf?: LogReader | undefined },
		from: number,
		to: number,
		most: number,
	): readonly Publication[] | "gone" | null {
		const { reads } = this.#parts;
		const live = this.#logged(channel, from, to, epoch, asOf);
		if (live !== "gone") return live;
		const range = reads.get(channel, epoch, from, most);
		if (range === null || range === "gone") return range;
		if (range.to <= from) {
			reads.forget(channel);
			return null;
		}
		const read = range.publications.slice(from - range.from);
		if (range.to >= to) return read.slice(0, to - from);
		const later = this.#logged(channel, range.to, to, epoch, asOf);
		if (later === "gone") reads.forget(channel);
		return later === null || later === "gone" ? null : [...read, ...later];
	}

	/** "gone" unless the log has all of them. */
	#logged(channel: string, from: number, to: number, epoch: string, asOf: LogReader | undefined) {
		const history = this.#parts.log.history(channel, {
			since: { offset: from, epoch },
			limit: to - from,
			allOrNone: true,
			...(asOf && { asOf }),
		});
		if (history === null) return null;
		const { publications } = history;
		const isWhole = publications.length === to - from && publications[0]?.offset === from + 1;
		return isWhole ? publications.map((each) => ({ ...each, previousOffset: each.offset - 1 })) : "gone";
	}
}

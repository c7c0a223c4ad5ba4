import type { History, HistoryOptions, Position, Publication } from "@shardcast/channel-log";
import type { DurableStore, StoredPublication } from "@shardcast/durable-store";
import type { HistoryBroker } from "./history-reader.ts";
import { epochIn } from "./mirror.ts";

interface StoreBrokerParts {
	readonly store: Pick<DurableStore, "open" | "read" | "readReverse">;
	readonly metaTtlMs: (channel: string) => number;
	readonly failed: (error: unknown) => void;
}

/** Reads the histories of durable channels that are on another machine. */
export class StoreBroker implements HistoryBroker {
	readonly #parts: StoreBrokerParts;

	constructor(parts: StoreBrokerParts) {
		this.#parts = parts;
	}

	async position(channel: string): Promise<Position | null> {
		return (await this.history(channel, { limit: 0 }))?.position ?? null;
	}

	async history(
		channel: string,
		{ since, limit = Number.MAX_SAFE_INTEGER, reverse = false }: HistoryOptions = {},
	): Promise<History | null> {
		const { store, metaTtlMs, failed } = this.#parts;
		try {
			const stored = await store.open(channel, metaTtlMs(channel));
			if (stored === "full") return null;
			const position: Position = { offset: stored.last, epoch: epochIn(stored) };
			const publications: Publication[] = [];
			if (since !== undefined && since.epoch !== position.epoch) return { publications, position };
			let at = reverse ? Math.min(since?.offset ?? Number.MAX_SAFE_INTEGER, position.offset + 1) : (since?.offset ?? 0);
			while (publications.length < limit) {
				const left = limit - publications.length;
				const read = reverse ? await store.readReverse(channel, at, left) : await store.read(channel, at, position.offset, left);
				if (read.length === 0) break;
				publications.push(...read.map(publicationOf));
				at = read.at(-1)!.offset;
			}
			return { publications, position };
		} catch (error) {
			failed(error);
			return null;
		}
	}

	/** Consumers acknowledge what is kept, so it is not removed. */
	removeHistory(): Promise<boolean> {
		return Promise.resolve(false);
	}
}

export function publicationOf({ offset, kind, data, info, tags }: StoredPublication): Publication {
	return { offset, previousOffset: offset - 1, kind, data, ...(info && { info }), ...(tags && { tags }) };
}

import type { History, HistoryOptions, Publication } from "@shardcast/channel-log";

interface StreamReadsParts {
	readonly broker: { history(channel: string, options?: HistoryOptions): Promise<History | null> };
	/** Monotonic. */
	readonly nowMs: () => number;
}

/** Publications of a channel without a gap, after offset `from` up to offset `to`. */
export interface StreamRange {
	readonly epoch: string;
	readonly from: number;
	readonly to: number;
	readonly publications: readonly Publication[];
}

interface Reading {
	readonly epoch: string;
	readonly from: number;
	/** Null = being read. "gone" = the stream no longer has all of them. */
	found: StreamRange | "gone" | null;
	bytes: number;
	usedMs: number;
}

const keptMs = 5000;
const bytesMax = 64 * 1024 * 1024;
const readingsMax = 10_000;
/** Most channels whose publications are kept at a time. */
const underWayMax = 64;

/**
 * Publications that reconnecting clients have missed and the logs no longer hold. Clients tend to reconnect together, so what was read of a channel is
 * kept for a moment for all of them. **One per shard.** Bounded by bytes, channels and concurrent reads.
 */
export class StreamReads {
	readonly #parts: StreamReadsParts;
	/** By channel, oldest read first. */
	readonly #readings = new Map<string, Reading>();
	#bytes = 0;
	#underWay = 0;

	constructor(parts: StreamReadsParts) {
		this.#parts = parts;
	}

	/** Number of reads for clients so far. */
	count = 0;

	/** Null = try again in a moment. @param most the most publications that are useful. */
	get(channel: string, epoch: string, from: number, most: number): StreamRange | "gone" | null {
		const known = this.#readings.get(channel);
		if (known !== undefined && known.epoch === epoch && known.from <= from && (known.found === null || this.#isFresh(known))) {
			known.usedMs = this.#parts.nowMs();
			return known.found;
		}
		if (known?.found === null || this.#underWay >= underWayMax) return null;
		void this.#read(channel, epoch, known?.epoch === epoch ? Math.min(from, known.from) : from, most);
		return null;
	}

	/** Call when what was read no longer reaches the oldest publication in the log. */
	forget(channel: string): void {
		const known = this.#readings.get(channel);
		if (known === undefined || known.found === null) return;
		this.#bytes -= known.bytes;
		this.#readings.delete(channel);
	}

	everySecond(): void {
		for (const [channel, reading] of this.#readings) if (!this.#isFresh(reading)) this.forget(channel);
	}

	async #read(channel: string, epoch: string, from: number, most: number): Promise<void> {
		this.forget(channel);
		const reading: Reading = { epoch, from, found: null, bytes: 0, usedMs: this.#parts.nowMs() };
		this.#readings.set(channel, reading);
		this.#underWay++;
		this.count++;
		try {
			const history = await this.#parts.broker.history(channel, { since: { offset: from, epoch }, limit: most });
			reading.found = history === null ? null : rangeOf(epoch, from, history.position.epoch, history.publications);
			for (const { data } of history?.publications ?? []) reading.bytes += data.length + 100;
		} finally {
			this.#underWay--;
		}
		this.#bytes += reading.bytes;
		reading.usedMs = this.#parts.nowMs();
		// What keeps the history cannot be reached: callers that still wait try again.
		if (reading.found === null) this.#readings.delete(channel);
		for (const oldest of this.#readings.keys()) {
			if (this.#bytes <= bytesMax && this.#readings.size <= readingsMax) break;
			if (oldest !== channel) this.forget(oldest);
		}
	}

	#isFresh({ usedMs, found }: Reading): boolean {
		return found === null || this.#parts.nowMs() - usedMs < keptMs;
	}
}

function rangeOf(asked: string, from: number, epoch: string, publications: readonly Publication[]): StreamRange | "gone" {
	const isWhole = publications.every(({ offset }, index) => offset === from + 1 + index);
	if (epoch !== asked || publications.length === 0 || !isWhole) return "gone";
	return { epoch, from, to: publications.at(-1)!.offset, publications };
}

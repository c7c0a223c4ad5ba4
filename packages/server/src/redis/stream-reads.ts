import type { Publication } from "@shardcast/channel-log";
import type { RedisBroker } from "@shardcast/redis-broker";

interface StreamReadsParts {
	readonly broker: Pick<RedisBroker, "history">;
	/** Monotonic. */
	readonly nowMs: () => number;
}

/** Publications of a channel, without a gap: after `from`, up to `to`. */
export interface StreamRange {
	readonly epoch: string;
	readonly from: number;
	readonly to: number;
	readonly publications: readonly Publication[];
}

interface Reading {
	readonly epoch: string;
	readonly from: number;
	/** Null = it is being read. "gone": the stream does not have them all. */
	found: StreamRange | "gone" | null;
	bytes: number;
	usedMs: number;
}

const keptMs = 5000;
const bytesMax = 64 * 1024 * 1024;
const readingsMax = 10_000;
/** Of channels, at a time. */
const underWayMax = 64;

/**
 * What clients that come back have missed, and the logs do not hold. They come back together, so what was read of a channel is kept for a moment, for
 * all of them. **One per shard.** Bounded by bytes, by channels, and by the reads that are under way.
 */
export class StreamReads {
	readonly #parts: StreamReadsParts;
	/** By channel; the least recently begun first. */
	readonly #readings = new Map<string, Reading>();
	#bytes = 0;
	#underWay = 0;

	constructor(parts: StreamReadsParts) {
		this.#parts = parts;
	}

	/** Reads of Redis for clients, so far. */
	count = 0;

	/** Null = ask again in a moment. @param most publications that are of use. */
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

	/** What was read does not reach to what the log holds any more. */
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
		// Redis is not reached: whoever still waits asks again.
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

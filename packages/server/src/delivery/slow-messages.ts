import { BoundedLines, decodeTraceContext, type Log } from "@shardcast/telemetry";
import { channelNameAt, Extension, extensionAt, extensionEnd } from "@shardcast/wire";
import type { Delivered } from "./delivery-watch.ts";

/** The message of a flush that was published first, and so is its slowest. */
interface Slowest {
	channel: string;
	channels: number;
	offset: number;
	size: number;
	clients: number;
	origin: number;
	trace: string;
	queuedMs: number;
	publishedMs: number;
	deliveredMs: number;
}

/** One line per this time; it says how many messages were slow since the last one. */
const lineEveryMs = 2000;
/** Messages of one flush whose times are kept until it ends; with more of them, those after it are judged when they are delivered. */
const timesMax = 4096;

/**
 * Counts messages that took too long from publish, or from Kafka's time stamp, to the last write to a socket, and logs where the slowest of a flush
 * spent its time. **One per shard, on its loop.** Costs a comparison and a store per message; only a new slowest one allocates.
 */
export class SlowMessages {
	/** Since the start. */
	count = 0;
	readonly #log: Pick<Log, "warn">;
	readonly #lines: BoundedLines;
	readonly #times = new Float64Array(timesMax);
	#taken = 0;
	#late = 0;
	#slowest: Slowest | null = null;
	#beganMs = Number.POSITIVE_INFINITY;
	/** Slow ones since the last line. */
	#unlogged = 0;
	/** Asked for those that do not fit into the list. */
	#slowMs = Number.POSITIVE_INFINITY;

	constructor(log: Pick<Log, "warn">, nowMs?: () => number) {
		this.#log = log;
		this.#lines = new BoundedLines(lineEveryMs, nowMs);
	}

	/** @param traceAt where its trace context is; negative = it has none. */
	delivered(record: Delivered, traceAt: number): void {
		const { u8, view, head, deliveredMs } = record;
		const queuedAt = head.extensionsStart < head.payloadStart ? extensionAt(view, head, Extension.types.queued) : -1;
		const queuedMs = queuedAt < 0 ? 0 : Math.max(0, view.getFloat64(queuedAt, true));
		const beganMs = head.publishedMs - queuedMs;
		if (this.#taken < timesMax) this.#times[this.#taken++] = beganMs;
		else if (deliveredMs - beganMs > this.#slowMs) this.#late++;
		if (!(beganMs < this.#beganMs)) return;
		this.#beganMs = beganMs;
		this.#slowest = {
			channel: head.channelCount === 0 ? "" : channelNameAt(u8, head.channelsStart),
			channels: head.channelCount,
			offset: record.logged?.offset ?? 0,
			size: head.payloadEnd - head.payloadStart,
			clients: record.clients,
			origin: record.origin,
			trace: traceAt < 0 ? "" : (decodeTraceContext(u8.subarray(traceAt, extensionEnd(view, traceAt)))?.traceId ?? ""),
			queuedMs,
			publishedMs: head.publishedMs,
			deliveredMs,
		};
	}

	/** Call when a flush has written everything. */
	flushed(slowMs: number, nowMs: number): void {
		this.#slowMs = slowMs;
		let slow = this.#late;
		for (let index = 0; index < this.#taken; index++) if (nowMs - this.#times[index]! > slowMs) slow++;
		const slowest = this.#slowest;
		this.#taken = 0;
		this.#late = 0;
		this.#slowest = null;
		this.#beganMs = Number.POSITIVE_INFINITY;
		if (slow === 0 || slowest === null) return;
		this.count += slow;
		this.#unlogged += slow;
		this.#lines.offer(() => {
			this.#write(slowest, nowMs, this.#unlogged);
			this.#unlogged = 0;
		});
	}

	#write(
		{ channel, channels, offset, size, clients, origin, trace, queuedMs, publishedMs, deliveredMs }: Slowest,
		nowMs: number,
		slow: number,
	): void {
		const ms = Math.round(nowMs - publishedMs + queuedMs);
		const [kafkaMs, waitMs, sendMs] = [queuedMs, deliveredMs - publishedMs, nowMs - deliveredMs].map(Math.round);
		const to = channel === "" ? "everybody" : channels > 1 ? `channel ${channel} and ${channels - 1} more` : `channel ${channel}`;
		this.#log.warn(
			{
				...(channel !== "" && { channel }),
				...(offset > 0 && { offset }),
				...{ size, clients, ms, kafkaMs, waitMs, sendMs },
				...(origin >= 0 && { from: origin }),
				...(trace !== "" && { trace }),
				slow,
			},
			`slow message: ${ms} ms to ${to}: ${kafkaMs} in Kafka, ${waitMs} in the rings, ${sendMs} for sending${slow > 1 ? `; it is one of ${slow} since the last such line` : ""}`,
		);
	}
}

import {
	decodeTraceContext,
	encodeTraceContext,
	type Span,
	SpanKind,
	TraceHeader,
	TraceSampler,
	traceContextOf,
	traceparentOf,
	unixMs,
} from "@shardcast/telemetry";
import { encodeExtensions, noExtensions } from "@shardcast/wire";
import type { ProducedHeader } from "../client/produced-record.ts";
import type { FromWorker, Observed } from "../ingest-messages.ts";
import type { SourcePartition, SourceRecord } from "../source.ts";

/** A trace context with the longest `tracestate`, and the wait, each as an extension. */
const extensionBytesMax = 600;
/** How long spans wait for others before they go to the shard's loop. */
const sendMs = 100;
/** Spans that wait; further ones are dropped, and counted. */
const spansMax = 512;

/**
 * Notes what traces and the log of slow messages need of a record, as extensions of it, and begins its trace or continues that of its producer.
 * **One per worker.** While `isOn` is false, nobody calls it for a record.
 */
export class RecordObserver {
	isOn = false;
	/** What a record may grow by. */
	bytesMax = 0;
	readonly #send: (message: FromWorker) => void;
	readonly #sampler: TraceSampler;
	#observed: Observed = { traceSample: null, waits: false };
	#spans: Span[] = [];
	#dropped = 0;
	#limited = 0;
	#timer: NodeJS.Timeout | null = null;

	constructor(send: (message: FromWorker) => void, random?: () => number) {
		this.#send = send;
		this.#sampler = new TraceSampler(() => this.#observed.traceSample ?? 0, undefined, random);
	}

	observe(observed: Observed): void {
		this.#observed = observed;
		this.isOn = observed.traceSample !== null || observed.waits;
		this.bytesMax = this.isOn ? extensionBytesMax : 0;
	}

	/** Call once for each record that is delivered. @param size of what is delivered. */
	extensions(partition: SourcePartition, record: SourceRecord, channels: readonly string[], size: number): Uint8Array {
		const { traceSample, waits } = this.#observed;
		const nowMs = unixMs();
		const trace = traceSample === null ? undefined : this.#trace(partition, record, channels, size, nowMs);
		const queuedMs = waits ? waitMs(record, nowMs) : null;
		return trace === undefined && queuedMs === null ? noExtensions : encodeExtensions({ trace, queuedMs: queuedMs ?? undefined });
	}

	/** Sends the spans that wait. */
	flush(): void {
		if (this.#timer !== null) clearTimeout(this.#timer);
		this.#timer = null;
		const limited = this.#sampler.limited - this.#limited;
		if (this.#spans.length === 0 && this.#dropped === 0 && limited === 0) return;
		this.#send({ type: "spans", spans: this.#spans, dropped: this.#dropped, limited });
		this.#spans = [];
		this.#dropped = 0;
		this.#limited += limited;
	}

	#trace(
		{ topic, partition }: SourcePartition,
		record: SourceRecord,
		channels: readonly string[],
		size: number,
		nowMs: number,
	): Uint8Array | undefined {
		const parent = parentOf(record);
		const context = this.#sampler.sample(parent);
		if (context === null) {
			// Those that were too many are told, too.
			if (this.#sampler.limited > this.#limited) this.#sendSoon();
			return undefined;
		}
		const waited = waitMs(record, nowMs);
		this.#add({
			name: `process ${topic}`,
			kind: SpanKind.consumer,
			context,
			parentId: parent?.spanId ?? "",
			startMs: nowMs,
			endMs: unixMs(),
			attributes: {
				"messaging.system": "kafka",
				"messaging.operation.type": "process",
				"messaging.destination.name": topic,
				"messaging.destination.partition.id": String(partition),
				"messaging.kafka.offset": record.offset,
				"messaging.message.body.size": size,
				...(waited !== null && { "shardcast.kafka_wait_ms": Math.round(waited) }),
				...(channels.length === 1 && { "shardcast.channel": channels[0]! }),
			},
		});
		return encodeTraceContext(context);
	}

	#add(span: Span): void {
		if (this.#spans.length >= spansMax) this.#dropped++;
		else this.#spans.push(span);
		this.#sendSoon();
	}

	#sendSoon(): void {
		this.#timer ??= setTimeout(() => this.flush(), sendMs);
	}
}

/** How long a record waited in Kafka; null = its producer gave it no time stamp, which is -1 then. A clock that is ahead must not count as a wait. */
function waitMs({ timestampMs }: SourceRecord, nowMs: number): number | null {
	return timestampMs < 0 ? null : Math.max(0, nowMs - timestampMs);
}

/** The headers of a traced message that goes through Kafka. */
export function traceHeaders(trace: Uint8Array | undefined): readonly ProducedHeader[] {
	const context = trace === undefined ? null : decodeTraceContext(trace);
	if (context === null) return [];
	const parent: ProducedHeader = [TraceHeader.parent, traceparentOf(context)];
	return context.state === "" ? [parent] : [parent, [TraceHeader.state, context.state]];
}

/** The context in a record's headers. Both names are ASCII, and the values are checked, whoever has written them. */
function parentOf(record: SourceRecord) {
	let parent = "";
	let state = "";
	record.eachHeader((name, value) => {
		if (value === null || value.length > 512) return;
		if (name === TraceHeader.parent) parent = value.toString("latin1");
		else if (name === TraceHeader.state) state = value.toString("latin1");
	});
	return parent === "" ? null : traceContextOf(parent, state);
}

import type { LogRecordHead } from "@shardcast/channel-log";
import { decodeTraceContext, type Log, SpanKind, type TraceContext, type Tracer, unixMs } from "@shardcast/telemetry";
import { channelNameAt, Extension, extensionAt, extensionEnd, monotonicMs, type RecordHead } from "@shardcast/wire";
import { SlowMessages } from "./slow-messages.ts";

/** A record that has been delivered, as the caller knows it. Valid during the call only. */
export interface Delivered {
	readonly u8: Uint8Array;
	readonly view: DataView;
	readonly head: RecordHead;
	/** Its head in the log; null = it came over the bus. */
	readonly logged: LogRecordHead | null;
	/** The member in whose ring it was; negative = it was in a log. */
	readonly origin: number;
	readonly clients: number;
	/** Bytes for all of them. */
	readonly bytes: number;
	/** `monotonicMs`, when it was delivered. */
	readonly deliveredMs: number;
}

interface DeliveryWatchParts {
	/** This shard's slot. */
	readonly member: number;
	/** Null = traces are not exported. */
	readonly tracer: Tracer | null;
	/** From which time on a message is slow; 0 = none is. Asked once per turn. */
	readonly slowMs: () => number;
	readonly log: Pick<Log, "warn">;
	/** How many clients of this shard read slowly now. */
	readonly slowClients: () => number;
}

/** A traced publication of this flush. */
interface Traced {
	readonly parent: TraceContext;
	readonly publishedMs: number;
	readonly deliveredMs: number;
	readonly origin: number;
	readonly channel: string;
	readonly offset: number;
	readonly clients: number;
	readonly bytes: number;
	readonly size: number;
}

/** Most traced publications of one flush; further ones end when they are delivered, without the time of the flush's writes. */
const tracedMax = 1024;

/**
 * Watches deliveries, for traces and for the log of slow messages: a delivery has ended when its flush has written to all sockets.
 *
 * One per shard, on its loop. While neither is used, `isOn` is false, and nobody calls anything for a message.
 */
export class DeliveryWatch {
	isOn: boolean;
	readonly slow: SlowMessages;
	readonly #parts: DeliveryWatchParts;
	#slowMs = 0;
	#traced: Traced[] = [];

	constructor(parts: DeliveryWatchParts) {
		this.#parts = parts;
		this.slow = new SlowMessages(parts.log);
		this.isOn = parts.tracer !== null;
	}

	/** Call at the start of each turn, before anything is delivered. */
	beforeTurn(): void {
		this.#slowMs = this.#parts.slowMs();
		this.isOn = this.#slowMs > 0 || this.#parts.tracer !== null;
	}

	/** Call for each publication that has reached a client. */
	delivered(record: Delivered): void {
		const { tracer } = this.#parts;
		const { u8, view, head } = record;
		const hasExtensions = head.extensionsStart < head.payloadStart;
		const at = hasExtensions ? extensionAt(view, head, Extension.types.trace) : -1;
		if (this.#slowMs > 0) this.slow.delivered(record, at);
		if (tracer === null || at < 0) return;
		const parent = decodeTraceContext(u8.subarray(at, extensionEnd(view, at)));
		if (parent === null) return;
		const traced: Traced = {
			parent,
			publishedMs: head.publishedMs,
			deliveredMs: record.deliveredMs,
			origin: record.origin,
			channel: head.channelCount === 1 ? channelNameAt(u8, head.channelsStart) : "",
			offset: record.logged?.offset ?? 0,
			clients: record.clients,
			bytes: record.bytes,
			size: head.payloadEnd - head.payloadStart,
		};
		if (this.#traced.length < tracedMax) this.#traced.push(traced);
		else this.#end(tracer, traced, monotonicMs());
	}

	/** Call when a flush has written everything. */
	flushed(): void {
		if (!this.isOn) return;
		const nowMs = monotonicMs();
		if (this.#slowMs > 0) this.slow.flushed(this.#slowMs, nowMs);
		const { tracer } = this.#parts;
		if (tracer === null || this.#traced.length === 0) return;
		for (const traced of this.#traced) this.#end(tracer, traced, nowMs);
		this.#traced = [];
	}

	/** Two steps: the way from the publisher's process into this one, and from here to the sockets. */
	#end(tracer: Tracer, traced: Traced, nowMs: number): void {
		const { member, slowClients } = this.#parts;
		const { parent, publishedMs, deliveredMs, origin, channel, offset, clients, bytes, size } = traced;
		const at = unixMs() - nowMs;
		const here = { "shardcast.shard": member };
		const hop = tracer.step(parent, {
			name: origin < 0 ? "log" : "bus",
			kind: SpanKind.internal,
			startMs: at + publishedMs,
			endMs: at + deliveredMs,
			attributes: { ...here, ...(origin >= 0 && { "shardcast.shard.from": origin }) },
		});
		tracer.step(hop, {
			name: "deliver",
			kind: SpanKind.consumer,
			startMs: at + deliveredMs,
			endMs: at + nowMs,
			attributes: {
				...here,
				"messaging.system": "shardcast",
				"messaging.operation.type": "process",
				...(channel !== "" && { "messaging.destination.name": channel }),
				...(offset > 0 && { "shardcast.offset": offset }),
				"messaging.message.body.size": size,
				"shardcast.clients": clients,
				"shardcast.bytes": bytes,
				"shardcast.slow_clients": slowClients(),
			},
		});
	}
}

import { isUtf8 } from "node:buffer";
import { type ChannelList, channelList, everybody, RecordKind } from "@shardcast/wire";
import type { WorkerCounter } from "../ingest-counters.ts";
import type { IngestMemory } from "../ingest-memory.ts";
import type { PayloadFormat } from "../ingest-options.ts";
import type { ChannelTemplate } from "../route/channel-template.ts";
import { parseAnswer, type RouteAnswer, type RouteFunction } from "../route/route-function.ts";
import type { SourcePartition, SourceRecord } from "../source.ts";
import { PublishedHeader, parsePublished, parseSender } from "./published-headers.ts";

/** Why a record is not delivered: the counter that says so. */
export type Refusal = Extract<
	WorkerCounter,
	| "tombstones"
	| "tooLarge"
	| "invalidText"
	| "invalidJson"
	| "badChannel"
	| "routeSkipped"
	| "routeErrors"
	| "routeInvalid"
	| "routeTimeouts"
>;

export interface RouterParts {
	readonly template: ChannelTemplate;
	readonly route: RouteFunction | null;
	readonly routeBudgetMs: number;
	readonly format: PayloadFormat;
	readonly payloadBytesMax: number;
	/** Records of this topic say themselves where they go: they were published by clients. */
	readonly publishTopic: string | null;
	/** Name of this cluster: senders of other clusters mean nothing here. */
	readonly cluster: string;
	readonly memory: Pick<IngestMemory, "enterRoute" | "leaveRoute">;
	/** Records that are not to be routed again. */
	readonly isPoisoned: (row: number, offset: number) => boolean;
	readonly onError: (kind: Refusal, error: unknown, partition: SourcePartition, record: SourceRecord) => void;
}

const decoder = new TextDecoder();

/** Takes the decision; null = deliver what the router's fields say. They are good only until it returns. */
export type Decided = (refusal: Refusal | null, partition: SourcePartition, record: SourceRecord) => boolean | Promise<boolean>;

/**
 * Decides what becomes of a record: its channels and the payload to deliver, or why none. **One thread; calls of several
 * partitions may overlap while a route function's promise is waited for**, which is why the decision is handed over within the
 * same turn. No allocation for a record that goes by the template, but a view.
 */
export class RecordRouter {
	channels: ChannelList = everybody;
	kind: RecordKind = RecordKind.text;
	/** Which connection of which shard must not get it back; 0 = nobody. */
	sender = 0;
	senderShard = 0;
	/** One view per record; what it shows is copied once, into the ring. */
	payload: Uint8Array = new Uint8Array(0);

	readonly #parts: RouterParts;
	readonly #plainKind: RecordKind;
	#route: RouteFunction | null;

	constructor(parts: RouterParts) {
		this.#parts = parts;
		this.#route = parts.route;
		this.#plainKind = parts.format === "binary" ? RecordKind.binary : RecordKind.text;
	}

	/** For the records from now on. */
	useRoute(route: RouteFunction): void {
		this.#route = route;
	}

	/** Why a record is refused, in words for whoever produces it. Within the call that tells of the refusal. */
	explain(refusal: Refusal, partition: SourcePartition, record: SourceRecord): string {
		const { template, payloadBytesMax, format } = this.#parts;
		switch (refusal) {
			case "badChannel":
				if (this.#isPublished(partition, record))
					return "its headers shardcast-kind and shardcast-channels are not those of a message that was published through Kafka";
				return template.explain(partition, record);
			case "tooLarge":
				return `it is ${this.payload.length} bytes long, more than --max-payload (${payloadBytesMax})`;
			case "invalidText":
				return `it is no valid UTF-8${format === "binary" ? "" : `, which --kafka-format ${format} wants`}`;
			case "invalidJson":
				return "it is no valid JSON, which --kafka-format json wants";
			case "routeErrors":
				return "the route function failed on it";
			case "routeInvalid":
				return "the route function answered with something that is no route";
			case "routeTimeouts":
				return "the route function took longer than --kafka-route-budget";
			case "tombstones":
				return "it has no value";
			case "routeSkipped":
				return "the route function chose so";
			default:
				return refusal satisfies never;
		}
	}

	#isPublished(partition: SourcePartition, record: SourceRecord): boolean {
		return partition.topic === this.#parts.publishTopic && record.header(PublishedHeader.kind) !== undefined;
	}

	/** What `decided` says; a promise of it when the route function gave one. */
	decide(partition: SourcePartition, record: SourceRecord, decided: Decided): boolean | Promise<boolean> {
		const refusal = this.#decide(partition, record);
		if (refusal instanceof Promise) return this.#whenAnswered(refusal, partition, record, decided);
		return decided(refusal, partition, record);
	}

	#decide(partition: SourcePartition, record: SourceRecord): Refusal | null | Promise<RouteAnswer> {
		if (record.valueStart < 0) return "tombstones";
		this.#begin(record);
		if (this.#isPublished(partition, record)) return this.#published(record);
		if (this.#route !== null) return this.#byFunction(this.#route, partition, record);
		const channels = this.#parts.template.channelsOf(partition, record);
		if (channels === null) return "badChannel";
		this.channels = channels;
		return this.#check();
	}

	#begin(record: SourceRecord): void {
		const { bytes, valueStart, valueEnd } = record;
		this.payload = new Uint8Array(bytes.buffer, bytes.byteOffset + valueStart, valueEnd - valueStart);
		this.kind = this.#plainKind;
		this.sender = 0;
		this.senderShard = 0;
	}

	/** Whether it can go out as a frame at all. */
	#checkFrame(): Refusal | null {
		if (this.payload.length > this.#parts.payloadBytesMax) return "tooLarge";
		// A text frame that is no UTF-8 makes every client close its connection.
		return this.kind === RecordKind.text && !isUtf8(this.payload) ? "invalidText" : null;
	}

	#check(): Refusal | null {
		const refusal = this.#checkFrame();
		if (refusal !== null || this.kind === RecordKind.binary || this.#parts.format !== "json") return refusal;
		try {
			JSON.parse(decoder.decode(this.payload));
			return null;
		} catch {
			return "invalidJson";
		}
	}

	#published(record: SourceRecord): Refusal | null {
		const published = parsePublished(record);
		if (published === null) return "badChannel";
		this.channels = published.channels;
		this.kind = published.kind;
		const sender = published.sender === null ? null : parseSender(published.sender, this.#parts.cluster);
		if (sender !== null) {
			this.sender = sender.connection;
			this.senderShard = sender.life;
		}
		// Not by who sent it: anybody who may write to the topic can write such a record.
		return this.#checkFrame();
	}

	#byFunction(route: RouteFunction, partition: SourcePartition, record: SourceRecord): Refusal | null | Promise<RouteAnswer> {
		const { memory, isPoisoned, onError } = this.#parts;
		if (isPoisoned(partition.row, record.offset)) return "routeTimeouts";
		// Without a prototype: a name is whatever somebody wrote.
		const headers: Record<string, Uint8Array | null> = Object.create(null);
		record.eachHeader((name, value) => {
			headers[name] = value === null ? null : new Uint8Array(value);
		});
		// A call that never comes back is seen by the loop, which watches these two marks, and ends the worker.
		memory.enterRoute(partition.row, record.offset);
		let answer: RouteAnswer | Promise<RouteAnswer>;
		let waits: boolean;
		try {
			answer = route({
				topic: partition.topic,
				partition: partition.partition,
				offset: record.offset,
				timestampMs: record.timestampMs,
				key: record.keyStart < 0 ? null : record.bytes.toString("utf8", record.keyStart, record.keyEnd),
				// A copy, as are the headers: the function may keep it, and the record's bytes are soon others.
				value: new Uint8Array(this.payload),
				headers,
			});
			waits = isThenable(answer);
		} catch (error) {
			onError("routeErrors", error, partition, record);
			return "routeErrors";
		} finally {
			memory.leaveRoute();
		}
		return waits ? Promise.resolve(answer) : this.#take(answer as RouteAnswer, partition, record);
	}

	async #whenAnswered(answer: Promise<RouteAnswer>, partition: SourcePartition, record: SourceRecord, decided: Decided): Promise<boolean> {
		const tooLate = Symbol();
		let timer: NodeJS.Timeout | undefined;
		const deadline = new Promise<typeof tooLate>((resolve) => {
			timer = setTimeout(() => resolve(tooLate), this.#parts.routeBudgetMs);
		});
		let refusal: Refusal | null;
		try {
			const first = await Promise.race([answer, deadline]);
			// Other partitions' records may have passed through the fields meanwhile.
			this.#begin(record);
			refusal = first === tooLate ? "routeTimeouts" : this.#take(first, partition, record);
			if (first === tooLate) answer.catch(() => undefined);
		} catch (error) {
			this.#parts.onError("routeErrors", error, partition, record);
			refusal = "routeErrors";
		} finally {
			clearTimeout(timer);
		}
		return decided(refusal, partition, record);
	}

	#take(answer: RouteAnswer, partition: SourcePartition, record: SourceRecord): Refusal | null {
		try {
			const parsed = parseAnswer(answer);
			if (parsed === null) return "routeSkipped";
			this.channels = channelList(parsed.channels);
			if (parsed.binary !== null) this.kind = parsed.binary ? RecordKind.binary : RecordKind.text;
			if (parsed.payload !== null) this.payload = parsed.payload;
		} catch (error) {
			this.#parts.onError("routeInvalid", error, partition, record);
			return "routeInvalid";
		}
		return this.#check();
	}
}

/** Promises of libraries count too. */
function isThenable(answer: RouteAnswer | Promise<RouteAnswer>): boolean {
	return typeof answer === "object" && answer !== null && "then" in answer && typeof answer.then === "function";
}

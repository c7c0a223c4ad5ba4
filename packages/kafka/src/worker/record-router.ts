import { isUtf8 } from "node:buffer";
import { type Subscription, topicMatcher } from "@shardcast/config";
import { type ChannelList, channelList, everybody, isJson, RecordKind, RecordType, typedMessage } from "@shardcast/wire";
import type { WorkerCounter } from "../ingest-counters.ts";
import type { IngestMemory } from "../ingest-memory.ts";
import type { PayloadFormat } from "../ingest-options.ts";
import type { ChannelTemplate } from "../route/channel-template.ts";
import { parseAnswer, type RouteAnswer, type RouteFunction } from "../route/route-function.ts";
import type { SourcePartition, SourceRecord } from "../source.ts";
import { MessageHeader, type MessageHeaders, noMessageHeaders, readMessageHeaders } from "./message-headers.ts";
import { PublishedHeader, parsePublished, parseSender } from "./published-headers.ts";

/** Why a record is not delivered: by the name of its counter, the word for the log, which is that of `shardcast_kafka_skipped_total`. */
export const refusalWords = {
	tombstones: "tombstone",
	tooLarge: "too_large",
	invalidText: "invalid_text",
	invalidJson: "invalid_json",
	badChannel: "bad_channel",
	badHeader: "bad_header",
	routeSkipped: "route_skipped",
	routeErrors: "route_error",
	routeInvalid: "route_invalid",
	routeTimeouts: "route_timeout",
} as const satisfies Partial<Record<WorkerCounter, string>>;
export type Refusal = keyof typeof refusalWords;

interface RouterParts {
	readonly template: ChannelTemplate;
	readonly route: RouteFunction | null;
	readonly routeBudgetMs: number;
	readonly format: PayloadFormat;
	readonly payloadBytesMax: number;
	/** Topic of clients' messages. Their headers say where they go. */
	readonly publishTopic: string | null;
	/** Topics whose records may say in headers where they go. */
	readonly messageTopics: Subscription;
	/** Name of this cluster. Senders of other clusters are ignored. */
	readonly cluster: string;
	readonly memory: Pick<IngestMemory, "enterRoute" | "leaveRoute">;
	/** True for records that must not be routed again. */
	readonly isPoisoned: (row: number, offset: number) => boolean;
	readonly onError: (kind: Refusal, error: unknown, partition: SourcePartition, record: SourceRecord) => void;
}

const decoder = new TextDecoder();

/** Gets the decision. Null = deliver the record as in the router's fields, which are valid only during the call. */
export type RouteCallback = (refusal: Refusal | null, partition: SourcePartition, record: SourceRecord) => boolean | Promise<boolean>;

/**
 * Decides where a record goes: its channels and payload, or why it is not delivered. **One thread. Calls for several partitions may
 * overlap while a route function's promise is pending**, so the decision is passed on in the same turn. Without a route function it
 * allocates only one view per record.
 */
export class RecordRouter {
	/** A direct record has its user in the place of a channel, and goes to no channel. */
	type: RecordType = RecordType.publication;
	channels: ChannelList = everybody;
	kind: RecordKind = RecordKind.text;
	/** The connection, with `senderShard`, that must not get the message back; 0 = none. */
	sender = 0;
	senderShard = 0;
	/** A view of the payload, which is copied once, into the ring. */
	payload: Uint8Array = new Uint8Array(0);

	readonly #parts: RouterParts;
	readonly #plainKind: RecordKind;
	readonly #mayHaveHeaders: (topic: string) => boolean;
	#route: RouteFunction | null;

	constructor(parts: RouterParts) {
		this.#parts = parts;
		this.#route = parts.route;
		this.#mayHaveHeaders = rememberedMatcher(parts.messageTopics);
		this.#plainKind = parts.format === "binary" ? RecordKind.binary : RecordKind.text;
	}

	/** Replaces the route function for records from now on. */
	useRoute(route: RouteFunction): void {
		this.#route = route;
	}

	/** Describes a refusal, for the people who produce the records. Call only from the callback that gets the refusal. */
	explain(refusal: Refusal, partition: SourcePartition, record: SourceRecord): string {
		const { template, payloadBytesMax, format } = this.#parts;
		switch (refusal) {
			case "badChannel":
				if (this.#isPublished(partition, record))
					return "its headers shardcast-kind and shardcast-channels are not those of a message that was published through Kafka";
				return template.explain(partition, record);
			case "badHeader": {
				const headers = this.#headersOf(partition, record);
				return typeof headers === "string" ? headers : "its headers are not valid";
			}
			case "tooLarge":
				return `it is ${this.payload.length} bytes long, more than --max-payload (${payloadBytesMax})`;
			case "invalidText":
				return `it is not valid UTF-8${format === "binary" ? "" : `, which --kafka-format ${format} requires`}`;
			case "invalidJson":
				return `it is not valid JSON, which ${format === "json" ? "--kafka-format json" : `its header ${MessageHeader.type}`} requires`;
			case "routeErrors":
				return "the route function failed on it";
			case "routeInvalid":
				return "the route function returned an invalid value";
			case "routeTimeouts":
				return "the route function took longer than --kafka-route-budget";
			case "tombstones":
				return "it has no value";
			case "routeSkipped":
				return "the route function returned null";
			default:
				return refusal satisfies never;
		}
	}

	#isPublished(partition: SourcePartition, record: SourceRecord): boolean {
		return partition.topic === this.#parts.publishTopic && record.header(PublishedHeader.kind) !== undefined;
	}

	/** Calls `decided` and returns its result; as a promise if the route function returned one. */
	decide(partition: SourcePartition, record: SourceRecord, decided: RouteCallback): boolean | Promise<boolean> {
		const refusal = this.#decide(partition, record);
		if (refusal instanceof Promise) return this.#whenAnswered(refusal, partition, record, decided);
		return decided(refusal, partition, record);
	}

	#decide(partition: SourcePartition, record: SourceRecord): Refusal | null | Promise<RouteAnswer> {
		if (record.valueStart < 0) return "tombstones";
		this.#begin(record);
		if (this.#isPublished(partition, record)) return this.#published(record);
		const headers = this.#headersOf(partition, record);
		if (typeof headers === "string") return "badHeader";
		const to = headers.direct ?? headers.room;
		if (to !== null) {
			this.channels = to;
			return this.#check(headers);
		}
		if (this.#route !== null) return this.#byFunction(this.#route, partition, record);
		const channels = this.#parts.template.channelsOf(partition, record);
		if (channels === null) return "badChannel";
		this.channels = channels;
		return this.#check(headers);
	}

	#headersOf({ topic }: SourcePartition, record: SourceRecord): MessageHeaders | string {
		return this.#mayHaveHeaders(topic) ? readMessageHeaders(record) : noMessageHeaders;
	}

	#begin(record: SourceRecord): void {
		const { bytes, valueStart, valueEnd } = record;
		this.payload = new Uint8Array(bytes.buffer, bytes.byteOffset + valueStart, valueEnd - valueStart);
		this.kind = this.#plainKind;
		this.type = RecordType.publication;
		this.sender = 0;
		this.senderShard = 0;
	}

	/** Checks whether the payload can be sent as a frame. */
	#checkFrame(): Refusal | null {
		if (this.payload.length > this.#parts.payloadBytesMax) return "tooLarge";
		// Clients close their connection on a text frame that is not UTF-8.
		return this.kind === RecordKind.text && !isUtf8(this.payload) ? "invalidText" : null;
	}

	/** Checks the payload, and gives it its type. */
	#check({ direct, type, urgent }: MessageHeaders): Refusal | null {
		if (direct !== null) this.type = urgent ? RecordType.urgentDirect : RecordType.direct;
		else if (urgent) this.type = RecordType.urgent;
		if (type !== null) this.kind = RecordKind.text;
		const refusal = this.#checkFrame();
		if (refusal !== null) return refusal;
		if (type !== null) {
			if (!isJson(this.payload)) return "invalidJson";
			this.payload = typedMessage(type, this.payload);
			return this.#checkFrame();
		}
		if (this.kind === RecordKind.binary || this.#parts.format !== "json") return null;
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
		if (published.urgent) this.type = RecordType.urgent;
		const sender = published.sender === null ? null : parseSender(published.sender, this.#parts.cluster);
		if (sender !== null) {
			this.sender = sender.connection;
			this.senderShard = sender.life;
		}
		// Checked whoever the sender is: anybody who may write to the topic can write such a record.
		return this.#checkFrame();
	}

	#byFunction(route: RouteFunction, partition: SourcePartition, record: SourceRecord): Refusal | null | Promise<RouteAnswer> {
		const { memory, isPoisoned, onError } = this.#parts;
		if (isPoisoned(partition.row, record.offset)) return "routeTimeouts";
		// Without a prototype: a header name may be any text.
		const headers: Record<string, Uint8Array | null> = Object.create(null);
		record.eachHeader((name, value) => {
			headers[name] = value === null ? null : new Uint8Array(value);
		});
		// The loop watches these two marks and ends the worker if the call does not return.
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
				// A copy, like the headers: the function may keep it, but the record's buffer is reused.
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

	async #whenAnswered(
		answer: Promise<RouteAnswer>,
		partition: SourcePartition,
		record: SourceRecord,
		decided: RouteCallback,
	): Promise<boolean> {
		const tooLate = Symbol();
		let timer: NodeJS.Timeout | undefined;
		const deadline = new Promise<typeof tooLate>((resolve) => {
			timer = setTimeout(() => resolve(tooLate), this.#parts.routeBudgetMs);
		});
		let refusal: Refusal | null;
		try {
			const first = await Promise.race([answer, deadline]);
			// Records of other partitions may have changed the fields meanwhile.
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
		// Read before the function was called, and valid.
		return this.#check(this.#headersOf(partition, record) as MessageHeaders);
	}
}

/** Most topics whose answer is remembered. Beyond it all are asked again. */
const topicsMax = 10_000;

/** Remembers its answers: it is asked for each record. */
function rememberedMatcher(topics: Subscription): (topic: string) => boolean {
	if (topics.names.length === 0 && topics.patterns.length === 0) return () => false;
	const isMatched = topicMatcher(topics);
	const answers = new Map<string, boolean>();
	return (topic) => {
		let answer = answers.get(topic);
		if (answer === undefined) {
			answer = isMatched(topic);
			if (answers.size >= topicsMax) answers.clear();
			answers.set(topic, answer);
		}
		return answer;
	};
}

/** Accepts promises of other libraries, too. */
function isThenable(answer: RouteAnswer | Promise<RouteAnswer>): boolean {
	return typeof answer === "object" && answer !== null && "then" in answer && typeof answer.then === "function";
}

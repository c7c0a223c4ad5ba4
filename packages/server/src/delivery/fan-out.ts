import type { VisitOrigin, VisitOriginAhead } from "@shardcast/bus";
import { createLogRecordHead, hasFlag, type LogReader, type LogRecordHead, RecordFlag } from "@shardcast/channel-log";
import type { Counters, HistogramWords } from "@shardcast/scoreboard";
import {
	allShards,
	BusRecord,
	channelNameAt,
	isUrgent,
	monotonicMs,
	RecordKind,
	RecordType,
	readRecordHead,
	recordTarget,
} from "@shardcast/wire";
import type { ConsoleFeed } from "../console/console-feed.ts";
import type { Audience } from "../hub/audience.ts";
import type { Hub } from "../hub/hub.ts";
import { Lane } from "../sessions/lanes/lane.ts";
import { hasTopics, type TopicTransport, type Transport } from "../transports/transport.ts";
import { DeliveredRecord } from "./delivered-record.ts";
import type { DeliveryWatch } from "./delivery-watch.ts";

/** Sends a message to all subscribers of a topic: uWebSockets.js. */
export interface TopicPublisher {
	publish(topic: string, message: Uint8Array, isBinary: boolean): boolean;
	/** Sends to all of them except one. */
	publishToOthers(sender: TopicTransport, topic: string, message: Uint8Array, isBinary: boolean): void;
}

/** A client that must not get its own message. */
interface Sender {
	readonly transport: Transport;
	isIn(audience: Audience): boolean;
}

export interface FanOutParts {
	/** This shard's slot. */
	readonly member: number;
	/** This shard's incarnation, see `incarnationId`. */
	readonly life: number;
	readonly hub: Hub;
	/** Finds a client of this shard by its sender number. */
	readonly senders: { find(sender: number): Sender | undefined };
	readonly topics: TopicPublisher;
	/** The reader of the logs; null = there are no logs. */
	readonly logged: Pick<LogReader, "current"> | null;
	readonly counters: Counters;
	/** Gets every record while a console is open. */
	readonly console: Pick<ConsoleFeed, "watching" | "onRecord">;
	/** Gets every publication while messages are traced, or slow ones are logged. */
	readonly watch?: Pick<DeliveryWatch, "isOn" | "delivered">;
	/** Takes frames of this shard's clients that arrived at another shard. @param payload is in the ring. */
	readonly onClientFrames: (payload: Uint8Array) => void;
	/** Delivers a message to the connections of a user, or to all of them (null). @param payload is in the ring. @returns how many got it. */
	readonly direct: (user: string | null, payload: Uint8Array) => number;
	/** Takes messages between shards about channels of other machines; absent = there are none. @param payload is in the ring. */
	readonly onChannelRecord?: ((type: ChannelRecordType, origin: number, payload: Uint8Array) => void) | undefined;
	/**
	 * Ends the subscriptions of positioned subscribers of these channels, which have missed publications. Called before they get a later one:
	 * otherwise they would resubscribe from there, and be told that they have recovered everything. Must not read the logs, and must not throw.
	 */
	readonly onGaps: (channels: ReadonlySet<string>) => void;
}

/** Records about channels that other machines publish to. */
export type ChannelRecordType =
	| typeof RecordType.follow
	| typeof RecordType.followed
	| typeof RecordType.restarted
	| typeof RecordType.noticed;

/**
 * Delivers a record to this shard's clients. The payload is passed to uWebSockets.js directly from the ring, so the application copies it only once
 * between receipt and fan-out, into that ring.
 *
 * Owned by the shard's loop. It holds nothing: `--max-buffered` bounds what waits for a slow client.
 */
export class FanOut {
	readonly #parts: FanOutParts;
	readonly #record = new DeliveredRecord();
	/** The value of a record's target for this shard. */
	readonly #target: number;
	readonly #logged = createLogRecordHead();
	/** Log head of the record being delivered; null = it came over the bus. */
	#loggedHead: LogRecordHead | null = null;
	#deliveries = 0;
	#deliveredBytes = 0;
	/** By the bytes of the ring: records that were delivered ahead and have not been read yet. */
	readonly #ahead = new Map<Uint8Array, number>();
	/** Channels in which publications are lost, until `endGaps`. */
	#gaps = new Set<string>();

	constructor(parts: FanOutParts) {
		this.#parts = parts;
		this.#target = recordTarget(parts.member);
	}

	/** Delivers a record of the bus. */
	readonly deliver: VisitOrigin = (origin, u8, view, start, end) => {
		if (this.#ahead.size > 0 && isUrgentAt(view, start) && this.#wasAhead(u8)) return;
		this.#deliver(origin, u8, view, start, end, this.#parts.counters.histograms.publishToSendMs);
	};

	/**
	 * Delivers a waiting record of the bus before those that were written before it, if it has high priority; `deliver` then skips it.
	 * @returns whether it has.
	 */
	readonly deliverAhead: VisitOriginAhead = (origin, u8, view, start, end) => {
		if (!isUrgentAt(view, start)) return false;
		this.#ahead.set(u8, (this.#ahead.get(u8) ?? 0) + 1);
		this.#deliver(origin, u8, view, start, end, this.#parts.counters.histograms.publishToSendMs);
		return true;
	};

	/** Delivers a record of this shard's own record source. */
	readonly deliverIngested: VisitOrigin = (origin, u8, view, start, end) => {
		this.#deliver(origin, u8, view, start, end, this.#parts.counters.histograms.ingestToSendMs);
	};

	/** Delivers a record of a log. */
	readonly deliverLogged: VisitOrigin = (origin, u8, view, start, end) => {
		this.#parts.logged!.current(this.#logged);
		if (hasFlag(this.#logged, RecordFlag.hidden)) {
			this.#noteGap(u8, view, start, end);
			return;
		}
		if (this.#gaps.size > 0 && this.#gaps.has(channelNameAt(u8, start + BusRecord.headerBytes))) this.endGaps();
		this.#loggedHead = this.#logged;
		try {
			this.#deliver(origin, u8, view, start, end, this.#parts.counters.histograms.publishToSendMs);
		} finally {
			this.#loggedHead = null;
		}
	};

	/**
	 * Call at the end of a turn: who subscribes after it knows a position behind the loss. It is done once for many channels if nothing later of them comes
	 * in between, since it visits all clients.
	 */
	endGaps(): void {
		if (this.#gaps.size === 0) return;
		const gaps = this.#gaps;
		this.#gaps = new Set();
		this.#parts.onGaps(gaps);
	}

	/** Whether anything was delivered since the last `count`. */
	get hasPublished(): boolean {
		return this.#deliveries > 0;
	}

	/** Updates the counters, once per flush, since they are in shared memory. */
	count(): void {
		if (this.#deliveries === 0) return;
		this.#parts.counters.add("deliveries", this.#deliveries);
		this.#parts.counters.add("deliveredBytes", this.#deliveredBytes);
		this.#deliveries = 0;
		this.#deliveredBytes = 0;
	}

	#deliver(origin: number, u8: Uint8Array, view: DataView, start: number, end: number, waited: HistogramWords): void {
		const { member, life, hub, senders, topics } = this.#parts;
		const record = this.#record;
		const { head } = record;
		readRecordHead(view, start, end, head);
		if (head.target !== allShards && head.target !== this.#target) return;
		if (head.type !== RecordType.publication && head.type !== RecordType.urgent) {
			this.#deliverOther(origin, u8, view, waited);
			return;
		}
		if (this.#parts.console.watching) this.#parts.console.onRecord(u8, view, head);
		const audiences = hub.select(u8, view, head);
		if (audiences.length === 0) return;
		// One view per record, not per delivery. Publishing copies the bytes before it returns.
		const payload = u8.subarray(head.payloadStart, head.payloadEnd);
		const isBinary = head.kind === RecordKind.binary;
		// The sender's number means one of our clients only if this shard is its origin.
		const isOurs = head.senderShard === 0 ? origin === member : head.senderShard === life;
		const sender = isOurs && head.sender !== 0 ? senders.find(head.sender) : undefined;
		const bytesBefore = this.#deliveredBytes;
		let plain = 0;
		let others = 0;
		for (const audience of audiences) {
			if (!audience.isPlain) {
				// Once per record, and only if there are encoders.
				if (record.payload !== payload) record.set(u8, view, payload, this.#loggedHead);
				others += this.#deliverEncoded(audience, record, sender);
				continue;
			}
			plain += audience.size;
			if (sender === undefined || !sender.isIn(audience)) topics.publish(audience.topic, payload, isBinary);
			else {
				plain--;
				topics.publishToOthers(sender.transport as TopicTransport, audience.topic, payload, isBinary);
			}
		}
		const reached = plain + others;
		if (reached === 0) return;
		this.#deliveries += reached;
		this.#deliveredBytes += plain * payload.length;
		const deliveredMs = monotonicMs();
		waited.observe(deliveredMs - head.publishedMs, reached);
		const { watch } = this.#parts;
		if (watch === undefined || !watch.isOn) return;
		const bytes = this.#deliveredBytes - bytesBefore;
		watch.delivered({ u8, view, head, logged: this.#loggedHead, origin, clients: reached, bytes, deliveredMs });
	}

	/**
	 * Whether the next record of high priority in this ring was delivered ahead, which is forgotten with that. A ring's records are read in the order in
	 * which they were visited ahead.
	 */
	#wasAhead(u8: Uint8Array): boolean {
		const count = this.#ahead.get(u8) ?? 0;
		if (count === 0) return false;
		if (count > 1) this.#ahead.set(u8, count - 1);
		else this.#ahead.delete(u8);
		return true;
	}

	/** A hidden record names a channel if publications before it are lost. */
	#noteGap(u8: Uint8Array, view: DataView, start: number, end: number): void {
		const { head } = this.#record;
		readRecordHead(view, start, end, head);
		const { payloadStart, payloadEnd } = head;
		if (payloadEnd === payloadStart) return;
		const channel = Buffer.from(u8.buffer, u8.byteOffset + payloadStart, payloadEnd - payloadStart).toString();
		if (this.#parts.hub.mayHavePositions(channel)) this.#gaps.add(channel);
	}

	/** Handles a record other than a publication. Its head has been read. */
	#deliverOther(origin: number, u8: Uint8Array, view: DataView, waited: HistogramWords): void {
		const { hub, counters, onClientFrames, onChannelRecord, direct } = this.#parts;
		const record = this.#record;
		const { head } = record;
		if (head.type !== RecordType.join && head.type !== RecordType.leave) {
			const payload = u8.subarray(head.payloadStart, head.payloadEnd);
			if (head.type === RecordType.clientFrames && head.target === this.#target) onClientFrames(payload);
			else if (isChannelNews(head.type)) onChannelRecord?.(head.type, origin, payload);
			else if (head.type === RecordType.direct || head.type === RecordType.urgentDirect) {
				const reached = direct(head.channelCount === 0 ? null : channelNameAt(u8, head.channelsStart), payload);
				if (reached === 0) return;
				this.#deliveries += reached;
				this.#deliveredBytes += reached * payload.length;
				waited.observe(monotonicMs() - head.publishedMs, reached);
			}
			// A type from a shard with newer code.
			else counters.add("recordsUnknown", 1);
			return;
		}
		const audiences = hub.selectForJoins(u8, view, head);
		if (audiences.length === 0) return;
		record.set(u8, view, u8.subarray(head.payloadStart, head.payloadEnd), null);
		for (const audience of audiences) this.#deliveries += this.#deliverEncoded(audience, record, undefined);
	}

	/** Delivers to an audience with an encoder, or with clients on other transports than WebSockets. Encodes once. Returns the number of its clients. */
	#deliverEncoded(audience: Audience, record: DeliveredRecord, sender: Sender | undefined): number {
		const { topic, size, listed, encoder } = audience;
		const frame = encoder === null ? record.payload : encoder.encode(record);
		if (frame === null) return 0;
		const isBinary = encoder === null ? record.head.kind === RecordKind.binary : encoder.isBinary;
		const left = sender?.isIn(audience) ? sender.transport : undefined;
		if (left !== undefined && hasTopics(left)) this.#parts.topics.publishToOthers(left, topic, frame, isBinary);
		else if (size > 0) this.#parts.topics.publish(topic, frame, isBinary);
		for (const transport of listed) {
			if (transport === left) continue;
			if (transport instanceof Lane) transport.deliver(frame, isBinary, audience, record);
			else transport.send(frame, isBinary);
		}
		const clients = size + listed.length - (left === undefined ? 0 : 1);
		this.#deliveredBytes += clients * frame.length;
		return clients;
	}
}

function isUrgentAt(view: DataView, start: number): boolean {
	return isUrgent(view.getUint8(start + BusRecord.typeOffset));
}

function isChannelNews(type: number): type is ChannelRecordType {
	return type >= RecordType.follow && type <= RecordType.noticed;
}

import type { Counters } from "@shardcast/scoreboard";
import type { DeliveredRecord } from "../../delivery/delivered-record.ts";
import type { Audience } from "../../hub/audience.ts";
import { hasTopics, Sent, type Transport } from "../../transports/transport.ts";
import { type LaneItem, LaneQueue, type LaneRule } from "./lane-queue.ts";

/** How a session lets its lane drop publications. */
export interface LaneOwner {
	/** The code that it is being closed with; 0 = it is served. */
	readonly leaving: number;
	/** What may wait for it, at most, in bytes. */
	readonly bufferedBytesMax: number;
	/** The rule for the record that is being delivered to this audience, of which it is one. */
	laneRule(audience: Audience, record: DeliveredRecord): LaneRule;
	/** Where one subscription is to many channels: the one of the record that is being delivered to this audience. "" = it is to one. */
	laneChannel(audience: Audience): string;
	/** A publication of a subscription that recovers had to be dropped: the subscription is to be ended, but not within this call. */
	laneGap(rule: LaneRule): void;
	/** See `Session.dropped`. */
	dropped(): void;
}

/** Bytes of replies and other messages in all lanes of a shard that no client has read. Long messages count until their last part has left. */
export interface UnreadReplies {
	bytes: number;
}

/** What the transport holds when the next message goes out, at most: then little is copied twice, and nothing is waited for. */
const transportBytesMax = 16 * 1024;
/** A longer message leaves in parts of this size: the most that uWebSockets.js collects for one write. */
export const partBytes = 15 * 1024;

/**
 * The queue of one client, in front of its transport, whose place it takes while the client has to read: because it reads too slowly
 * (`isSlow`), or because a long message leaves in parts. Its session is out of all topics meanwhile, and in the lists of its audiences with this.
 *
 * A long message goes out in parts since uWebSockets.js keeps for each connection, until its end, the memory of the most that ever waited for it.
 * Nothing comes between two parts but control frames. Streams hold it in parts as well, so that what is unread is counted in one place.
 *
 * Bounds: publications and what the transport holds take `bufferedBytesMax` together, and one publication more. What comes on top is dropped by the rule of its
 * subscription, or, when there is nothing that may be dropped, closes the client (3008). Other messages may wait up to the same size, and one more.
 */
export class Lane implements Transport {
	readonly transport: Transport;
	readonly isSlow: boolean;
	readonly #owner: LaneOwner;
	readonly #counters: Pick<Counters, "add">;
	readonly #unread: UnreadReplies;
	readonly #queue = new LaneQueue();
	/** Subscriptions that have a gap: they get nothing until they have been ended. */
	readonly #ended = new Set<string>();
	/** The message that is leaving in parts, and how much of it has left. */
	#long: LaneItem | null = null;
	#left = 0;
	/** Of `unread`, what is this lane's. */
	#counted = 0;

	constructor(transport: Transport, owner: LaneOwner, counters: Pick<Counters, "add">, unread: UnreadReplies, isSlow: boolean) {
		this.transport = transport;
		this.isSlow = isSlow;
		this.#unread = unread;
		this.#owner = owner;
		this.#counters = counters;
	}

	/** Nothing waits here, and the transport takes more. */
	get isDone(): boolean {
		return this.#long === null && this.#queue.isEmpty && this.#takesMore;
	}

	/** A message that is no publication. */
	send(message: string | Uint8Array, isBinary: boolean): Sent {
		return this.#add(typeof message === "string" ? Buffer.from(message) : Uint8Array.from(message), isBinary);
	}

	/** As `send`; the bytes are the lane's from now on. */
	give(frame: Uint8Array, isBinary: boolean): void {
		this.#add(frame, isBinary);
		this.pump();
	}

	/** A publication for this client, among others. @param frame may be reused when this returns. */
	deliver(frame: Uint8Array, isBinary: boolean, audience: Audience, record: DeliveredRecord): void {
		const owner = this.#owner;
		if (owner.leaving !== 0) return;
		const rule = owner.laneRule(audience, record);
		if (this.#ended.has(rule.of)) return;
		const key = rule.policy === "keep-latest" && !rule.recovers ? keyOf(rule, owner.laneChannel(audience), record) : null;
		const item = { frame: record.copyOf(frame), isBinary, rule, key };
		if (this.#queue.add(item)) this.#counters.add("laneDropsReplaced", 1);
		const leaving = this.transport.getBufferedAmount() + (this.#long === null || this.#long.rule === null ? 0 : this.#longRest);
		while (this.#queue.publicationBytes > 0 && this.#queue.publicationBytes + leaving > owner.bufferedBytesMax) {
			const oldest = this.#queue.oldest();
			if (oldest === undefined) {
				owner.dropped();
				return;
			}
			// The newest waits, however much the transport holds: it may be the last for a long time.
			if (oldest === item && !rule.recovers) return;
			this.#drop(oldest, oldest.rule!);
		}
	}

	/** The subscription has ended; a later one to the same channel is another. */
	forget(rule: LaneRule): void {
		this.#ended.delete(rule.of);
	}

	/** Its client is gone, or will get no more than what waits. */
	dispose(): void {
		this.#count(-this.#counted);
	}

	/** Writes what the transport takes. To be called whenever it has written something. */
	pump(): void {
		while (this.#takesMore && this.#next()) {
			// One more has left.
		}
	}

	getBufferedAmount(): number {
		const { publicationBytes, otherBytes } = this.#queue;
		return this.transport.getBufferedAmount() + publicationBytes + otherBytes + this.#longRest;
	}

	/** Hands all that waits to the transport. The caller has seen that all of it is within what may wait. */
	flush(): void {
		while (this.#next()) {
			// One more has left.
		}
	}

	end(code: number, reason: string): void {
		this.flush();
		this.transport.end(code, reason);
	}

	close(): void {
		this.transport.close();
	}

	getRemoteAddressAsText(): ArrayBuffer {
		return this.transport.getRemoteAddressAsText();
	}

	/** A transport drops what comes while more than `bufferedBytesMax` waits in it, be it a part of a message. */
	get #takesMore(): boolean {
		return this.transport.getBufferedAmount() <= Math.min(transportBytesMax, this.#owner.bufferedBytesMax);
	}

	/** Bytes of the long message that have not left. */
	get #longRest(): number {
		return this.#long === null ? 0 : this.#long.frame.length - this.#left;
	}

	#add(frame: Uint8Array, isBinary: boolean): Sent {
		const owner = this.#owner;
		if (owner.leaving !== 0) return Sent.dropped;
		if (this.#queue.otherBytes > owner.bufferedBytesMax) {
			owner.dropped();
			return Sent.dropped;
		}
		this.#queue.add({ frame, isBinary, rule: null, key: null });
		this.#count(frame.length);
		return Sent.buffered;
	}

	#count(bytes: number): void {
		const change = Math.max(bytes, -this.#counted);
		this.#counted += change;
		this.#unread.bytes += change;
	}

	/** Makes room: a publication goes, or the subscription that it is of. */
	#drop(item: LaneItem, rule: LaneRule): void {
		if (!rule.recovers) {
			this.#queue.remove(item);
			this.#counters.add("laneDropsOldest", 1);
			return;
		}
		// The client goes on from the last publication that it has got.
		this.#queue.removeAll(rule);
		this.#ended.add(rule.of);
		this.#counters.add("laneGaps", 1);
		this.#owner.laneGap(rule);
	}

	/** Hands the next message, or a part of it, to the transport. False = there is none. */
	#next(): boolean {
		if (this.#long !== null) {
			this.#nextPart(this.#long);
			return true;
		}
		const item = this.#queue.shift();
		if (item === undefined) return false;
		const { transport } = this;
		if (item.frame.length > partBytes) {
			this.#long = item;
			this.#left = partBytes;
			const part = item.frame.subarray(0, partBytes);
			if (hasTopics(transport)) transport.sendFirstFragment(part, item.isBinary);
			else transport.send(part, item.isBinary);
			return true;
		}
		transport.send(item.frame, item.isBinary);
		if (item.rule === null) this.#count(-item.frame.length);
		return true;
	}

	#nextPart({ frame, isBinary, rule }: LaneItem): void {
		const { transport } = this;
		const part = frame.subarray(this.#left, this.#left + partBytes);
		this.#left += part.length;
		const isLast = this.#left === frame.length;
		// To a stream a part is bytes like any others.
		if (!hasTopics(transport)) transport.send(part, isBinary);
		else if (isLast) transport.sendLastFragment(part);
		else transport.sendFragment(part);
		if (!isLast) return;
		this.#long = null;
		if (rule === null) this.#count(-frame.length);
	}
}

/** No tag, as against an empty one. */
const untagged = "-";

function keyOf({ keyTag }: LaneRule, channel: string, record: DeliveredRecord): string {
	const value = keyTag === "" ? undefined : record.tags?.get(keyTag);
	const key = value === undefined ? untagged : `=${value}`;
	return channel === "" ? key : `${channel.length} ${channel} ${key}`;
}

import type { Counters, ShardCounter } from "@shardcast/scoreboard";
import type { DeliveredRecord } from "../../delivery/delivered-record.ts";
import { SharedFrame } from "../../delivery/shared-frame.ts";
import type { Audience } from "../../hub/audience.ts";
import { hasTopics, Sent, type Transport } from "../../transports/transport.ts";
import type { LaneMemory } from "./lane-memory.ts";
import { LaneItem, LaneQueue, type LaneRule } from "./lane-queue.ts";

/** What a lane needs from its session. */
export interface LaneOwner {
	/** The code the session is being closed with; 0 = not closing. */
	readonly leaving: number;
	/** The most bytes that may wait for the client. */
	readonly bufferedBytesMax: number;
	/** The rule for the record that is being delivered to this audience, to which the session belongs. */
	laneRule(audience: Audience, record: DeliveredRecord): LaneRule;
	/**
	 * For a subscription to several channels: the channel of the record that is being delivered to this audience. "" = a subscription to one
	 * channel.
	 */
	laneChannel(audience: Audience): string;
	/** A publication of a subscription with recovery had to be dropped. The subscription must end, but not within this call. */
	laneGap(rule: LaneRule): void;
	/** See `Session.dropped`. */
	dropped(): void;
}

/**
 * The lane hands over the next message only while the transport holds fewer bytes than this: little is copied twice, and the connection is never
 * idle.
 */
const transportBytesMax = 16 * 1024;
/** Longer messages are sent in parts of this size, the most that uWebSockets.js collects for one write. */
export const partBytes = 15 * 1024;

/**
 * Why a client is in a lane. `slow`: it has much unread, and some of its publications may be dropped. `stalled`: it has much unread and reads nothing,
 * and none may be dropped. `long`: a long message is being sent in parts.
 */
export type LaneCause = "slow" | "stalled" | "long";

/**
 * One client's queue in front of its transport. It replaces the transport while the client is behind (see `LaneCause`). Meanwhile the session is in
 * no topic, and its audiences send to the lane.
 *
 * A long message is sent in parts because uWebSockets.js keeps, for the life of a connection, the memory of the most that ever waited for it.
 * Only control frames may come between two parts. Streams send parts as well, so that unread bytes are counted in one place.
 *
 * Bounds: publications and the transport's buffer take `bufferedBytesMax` together, plus one publication. Beyond that, the rule of the
 * subscription decides what is dropped; if nothing may be dropped, the client is closed (3008). Other messages may take the same amount again,
 * plus one message.
 */
export class Lane implements Transport {
	readonly transport: Transport;
	/** Changed only by `Lanes`: a stalled client can get a subscription whose publications may be dropped. */
	cause: LaneCause;
	readonly #owner: LaneOwner;
	readonly #counters: Pick<Counters, "add">;
	readonly #memory: LaneMemory;
	readonly #queue: LaneQueue;
	/** Subscriptions that have a gap: they get nothing more until they have ended. */
	readonly #ended = new Set<string>();
	/** The message that is being sent in parts, and how many of its bytes have been sent. */
	#long: LaneItem | null = null;
	#left = 0;
	/** This lane's share of the replies in `memory`. */
	#counted = 0;

	constructor(transport: Transport, owner: LaneOwner, counters: Pick<Counters, "add">, memory: LaneMemory, cause: LaneCause) {
		this.transport = transport;
		this.cause = cause;
		this.#memory = memory;
		this.#queue = new LaneQueue(memory);
		this.#owner = owner;
		this.#counters = counters;
	}

	/** True when the lane is empty and the transport accepts more. */
	get isDone(): boolean {
		return this.#long === null && this.#queue.isEmpty && this.#takesMore;
	}

	/** Sends a message that is not a publication. */
	send(message: string | Uint8Array, isBinary: boolean): Sent {
		return this.#add(typeof message === "string" ? Buffer.from(message) : Uint8Array.from(message), isBinary);
	}

	/** Like `send`, but the lane takes ownership of the bytes. */
	give(frame: Uint8Array, isBinary: boolean): void {
		this.#add(frame, isBinary);
		this.pump();
	}

	/** Queues a publication. @param frame may be reused when this returns. */
	deliver(frame: Uint8Array, isBinary: boolean, audience: Audience, record: DeliveredRecord): void {
		const owner = this.#owner;
		if (owner.leaving !== 0) return;
		const rule = owner.laneRule(audience, record);
		if (this.#ended.has(rule.of)) return;
		const key = rule.policy === "keep-latest" && !rule.recovers ? keyOf(rule, owner.laneChannel(audience), record) : null;
		const item = new LaneItem(record.copyOf(frame), isBinary, rule, key);
		if (this.#queue.add(item)) this.#counters.add("laneDropsReplaced", 1);
		const leaving = this.transport.getBufferedAmount() + (this.#long === null || this.#long.rule === null ? 0 : this.#longRest);
		while (this.#queue.publicationBytes > 0 && this.#queue.publicationBytes + leaving > owner.bufferedBytesMax) {
			const oldest = this.#queue.oldest();
			if (oldest === undefined) {
				owner.dropped();
				return;
			}
			// The newest publication is kept, however much the transport holds: it may be the last one for a long time.
			if (oldest === item && !rule.recovers) return;
			this.#drop(oldest, oldest.rule!, "laneDropsOldest");
		}
	}

	/**
	 * Drops publications until they take at most this many bytes, because all lanes together take too much memory. The newest is kept, as in
	 * `deliver`. Closes the client if too much may not be dropped.
	 * @returns whether something was dropped or closed.
	 */
	shrink(bytesMax: number): boolean {
		if (this.#owner.leaving !== 0) return false;
		const queue = this.#queue;
		let hasDropped = false;
		while (queue.publicationMemory > bytesMax) {
			const oldest = queue.oldest();
			if (oldest === undefined || (queue.droppable === 1 && !oldest.rule!.recovers)) {
				if (queue.publications === queue.droppable) return hasDropped;
				this.#owner.dropped();
				return true;
			}
			this.#drop(oldest, oldest.rule!, "laneDropsMemory");
			hasDropped = true;
		}
		return hasDropped;
	}

	/** The subscription has ended. A later one to the same channel is independent of it. */
	forget(rule: LaneRule): void {
		this.#ended.delete(rule.of);
	}

	/** The client gets nothing beyond what is queued. */
	retire(): void {
		this.#count(-this.#counted);
	}

	/** The client has disconnected. */
	dispose(): void {
		this.retire();
		this.#queue.clear();
		if (this.#long !== null) this.#memory.give(this.#long.frame);
		this.#long = null;
	}

	/** Writes what the transport accepts. Must be called whenever the transport has written something. */
	pump(): void {
		while (this.#takesMore && this.#next()) {
			// One more has left.
		}
	}

	/** Bytes of replies, which may not be dropped. A long one counts until its last part has been sent. */
	get replyBytes(): number {
		return this.#counted;
	}

	/** Bytes that wait here, without those that the transport holds. */
	get queuedBytes(): number {
		const { publicationBytes, otherBytes } = this.#queue;
		return publicationBytes + otherBytes + this.#longRest;
	}

	getBufferedAmount(): number {
		return this.transport.getBufferedAmount() + this.queuedBytes;
	}

	/** Hands the whole queue to the transport. The caller has checked that it fits within the limit. */
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

	/** The transport drops any message, even a part of one, that arrives while more than `bufferedBytesMax` waits in it. */
	get #takesMore(): boolean {
		return this.transport.getBufferedAmount() <= Math.min(transportBytesMax, this.#owner.bufferedBytesMax);
	}

	/** Bytes of the long message that are still to be sent. */
	get #longRest(): number {
		return this.#long === null ? 0 : this.#long.frame.bytes.length - this.#left;
	}

	#add(frame: Uint8Array, isBinary: boolean): Sent {
		const owner = this.#owner;
		if (owner.leaving !== 0) return Sent.dropped;
		if (this.#queue.otherBytes > owner.bufferedBytesMax) {
			owner.dropped();
			return Sent.dropped;
		}
		this.#queue.add(new LaneItem(new SharedFrame(frame), isBinary, null, null));
		this.#count(frame.length);
		return Sent.buffered;
	}

	#count(bytes: number): void {
		const change = Math.max(bytes, -this.#counted);
		this.#counted += change;
		this.#memory.replyBytes += change;
	}

	/** Frees memory: drops the publication, or ends its subscription. */
	#drop(item: LaneItem, rule: LaneRule, counter: ShardCounter): void {
		if (!rule.recovers) {
			this.#queue.remove(item);
			this.#counters.add(counter, 1);
			return;
		}
		// The client continues from the last publication that it received.
		this.#queue.removeAll(rule);
		this.#ended.add(rule.of);
		this.#counters.add("laneGaps", 1);
		this.#owner.laneGap(rule);
	}

	/** Hands the next message, or the next part of one, to the transport. False = the queue is empty. */
	#next(): boolean {
		if (this.#long !== null) {
			this.#nextPart(this.#long);
			return true;
		}
		const item = this.#queue.shift();
		if (item === undefined) return false;
		const { transport } = this;
		const { bytes } = item.frame;
		if (bytes.length > partBytes) {
			this.#long = item;
			this.#memory.take(item.frame);
			this.#left = partBytes;
			const part = bytes.subarray(0, partBytes);
			if (hasTopics(transport)) transport.sendFirstFragment(part, item.isBinary);
			else transport.send(part, item.isBinary);
			return true;
		}
		transport.send(bytes, item.isBinary);
		if (item.rule === null) this.#count(-bytes.length);
		return true;
	}

	#nextPart({ frame, isBinary, rule }: LaneItem): void {
		const { transport } = this;
		const { bytes } = frame;
		const part = bytes.subarray(this.#left, this.#left + partBytes);
		this.#left += part.length;
		const isLast = this.#left === bytes.length;
		// A stream does not need to tell parts from other bytes.
		if (!hasTopics(transport)) transport.send(part, isBinary);
		else if (isLast) transport.sendLastFragment(part);
		else transport.sendFragment(part);
		if (!isLast) return;
		this.#long = null;
		this.#memory.give(frame);
		if (rule === null) this.#count(-bytes.length);
	}
}

/** Stands for a missing tag, as opposed to an empty one. */
const untagged = "-";

function keyOf({ keyTag }: LaneRule, channel: string, record: DeliveredRecord): string {
	const value = keyTag === "" ? undefined : record.tags?.get(keyTag);
	const key = value === undefined ? untagged : `=${value}`;
	return channel === "" ? key : `${channel.length} ${channel} ${key}`;
}

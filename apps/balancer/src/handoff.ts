import { type BalancerCounter, type HistogramWords, ShardState } from "@shardcast/bus";
import { DescriptorChannel, NativeError } from "@shardcast/native";
import { monotonicMs } from "@shardcast/wire";
import type { Candidate } from "./pick.ts";

/** The end of a `DescriptorChannel` that handing over needs. */
export interface DescriptorSender {
	send(descriptors: readonly number[]): boolean;
	close(): void;
}

export interface HandoffOptions {
	readonly openChannel: (slot: number) => DescriptorSender;
	/** Tells the shard that a batch is in its socket, and wakes it if it sleeps. */
	readonly announce: (slot: number) => void;
	readonly closeDescriptor: (fd: number) => void;
	readonly count: (counter: BalancerCounter, amount: number) => void;
	readonly handoffMs: Pick<HistogramWords, "observe">;
	/** Gets back a connection whose shard has gone before it could be sent, to give it to another. */
	readonly onReturn: (fd: number, sinceMs: number) => void;
	/** The shard does not answer. */
	readonly onGone: (candidate: Candidate) => void;
}

/** Connections that wait because a shard's socket is full. Its socket holds 640 more; a shard so far behind gets no more for now. */
export const laneDescriptorsMax = 1024;

/**
 * Pause before a full socket is tried again: first about a turn of a busy shard's loop, then doubled each time, so that a shard that
 * takes nothing for seconds costs some 30 attempts per second.
 */
const retryMsMin = 1;
const retryMsMax = 32;

/** Over this time without a handoff, a shard whose heart beats has taken all there was to take out of its socket. */
const settledMs = 1000;

/** What waits for one shard. */
interface Lane {
	readonly candidate: Candidate;
	incarnation: number;
	channel: DescriptorSender | null;
	fds: number[];
	/** When each of them was accepted (`monotonicMs`, the clock of the shards' heartbeats as well). */
	sinceMs: number[];
	lastSentMs: number;
	/** Set while its socket is full and nothing is tried. */
	retryTimer: NodeJS.Timeout | null;
	retryMs: number;
}

/**
 * Hands connections over to shards: descriptors collected during a turn go out in messages of up to 64 at its end. One
 * owner. Bound: `laneDescriptorsMax` per shard, kept by the picker, which gives a shard no more then.
 *
 * What the row counts as sent and the shard as received must stay in step over the death of either. The balancer alone
 * writes `handoffsSent`, so it also sets it right: when a new process serves (`restarted`), and when a shard has caught up
 * and the two still differ (`settle`), as after a balancer that died between sending and counting.
 */
export class Handoff {
	readonly #options: HandoffOptions;
	readonly #lanes = new Map<number, Lane>();
	/** Lanes with something to send. */
	readonly #dirty = new Set<Lane>();

	constructor(options: HandoffOptions) {
		this.#options = options;
	}

	/** Connections that are not sent yet. */
	get waiting(): number {
		let waiting = 0;
		for (const lane of this.#dirty) waiting += lane.fds.length;
		return waiting;
	}

	/** Takes over `fd`. It leaves with the next `flush`. */
	put(candidate: Candidate, fd: number, sinceMs: number): void {
		const lane = this.#laneOf(candidate);
		lane.fds.push(fd);
		lane.sinceMs.push(sinceMs);
		candidate.own++;
		this.#dirty.add(lane);
	}

	/** Sends what it can. Call it at the end of a turn that puts. */
	flush(): void {
		for (const lane of this.#dirty) this.#flush(lane);
	}

	/** A new process serves in this slot: nothing has been sent to it yet. */
	restarted({ row }: Candidate): void {
		row.handoffsSent = row.handoffsReceived;
	}

	/** Several times a second: see the class. */
	settle(candidates: readonly Candidate[]): void {
		const nowMs = monotonicMs();
		for (const { row, serving } of candidates) {
			if (!serving || row.handoffsSent === row.handoffsReceived) continue;
			const lastSentMs = this.#lanes.get(row.slot)?.lastSentMs ?? 0;
			if (nowMs - lastSentMs > settledMs && row.get("heartbeatMs") > lastSentMs + settledMs / 2) row.handoffsSent = row.handoffsReceived;
		}
	}

	/** Closes what has not been sent, and the channels; returns how many connections that cut off. */
	close(): number {
		let cutOff = 0;
		// A lane whose shard was replaced is only among the dirty ones.
		for (const lane of new Set([...this.#lanes.values(), ...this.#dirty])) {
			stopRetry(lane);
			cutOff += lane.fds.length;
			lane.candidate.own -= lane.fds.length;
			for (const fd of lane.fds) this.#options.closeDescriptor(fd);
			lane.channel?.close();
		}
		this.#lanes.clear();
		this.#dirty.clear();
		return cutOff;
	}

	#laneOf(candidate: Candidate): Lane {
		const { row, incarnation } = candidate;
		let lane = this.#lanes.get(row.slot);
		if (lane === undefined || lane.candidate !== candidate) {
			lane?.channel?.close();
			lane = { candidate, incarnation, channel: null, fds: [], sinceMs: [], lastSentMs: 0, retryTimer: null, retryMs: retryMsMin };
			this.#lanes.set(row.slot, lane);
		}
		if (lane.fds.length === 0) lane.incarnation = incarnation;
		return lane;
	}

	#flush(lane: Lane): void {
		const { candidate } = lane;
		const { row } = candidate;
		while (lane.fds.length > 0) {
			if (row.state !== ShardState.serving || row.incarnation !== lane.incarnation) {
				candidate.serving = false;
				this.#return(lane);
				return;
			}
			if (lane.retryTimer !== null) return;
			const batch = lane.fds.length <= DescriptorChannel.descriptorsMax ? lane.fds : lane.fds.slice(0, DescriptorChannel.descriptorsMax);
			try {
				lane.channel ??= this.#options.openChannel(row.slot);
				if (!lane.channel.send(batch)) {
					this.#options.count("sendRetries", 1);
					this.#retryLater(lane);
					return;
				}
			} catch (error) {
				this.#failed(lane, batch, error);
				continue;
			}
			lane.retryMs = retryMsMin;
			this.#sent(lane, batch);
		}
		this.#dirty.delete(lane);
	}

	#retryLater(lane: Lane): void {
		lane.retryTimer = setTimeout(() => {
			lane.retryTimer = null;
			this.#flush(lane);
		}, lane.retryMs);
		lane.retryMs = Math.min(2 * lane.retryMs, retryMsMax);
	}

	#sent(lane: Lane, batch: readonly number[]): void {
		const { row } = lane.candidate;
		// Counted before the shard is woken: it looks at the count once more before it goes to sleep.
		row.handoffsSent = (row.handoffsSent + batch.length) | 0;
		this.#options.announce(row.slot);
		// The shard has copies of its own; closing ours sends the client nothing.
		for (const fd of batch) this.#options.closeDescriptor(fd);
		this.#options.count("handedOff", batch.length);
		lane.lastSentMs = this.#observe(lane.sinceMs, batch.length);
		this.#drop(lane, batch.length);
	}

	/** @returns the time of now. */
	#observe(sinceMs: readonly number[], count: number): number {
		const nowMs = monotonicMs();
		for (let i = 0; i < count; i++) this.#options.handoffMs.observe(nowMs - sinceMs[i]);
		return nowMs;
	}

	#failed(lane: Lane, batch: readonly number[], error: unknown): void {
		if (error instanceof NativeError && (error.code === "ECONNREFUSED" || error.code === "ENOENT")) {
			this.#options.onGone(lane.candidate);
			this.#return(lane);
			return;
		}
		// Nothing that another attempt would mend: these are lost, the next ones need not be.
		this.#options.count("sendErrors", batch.length);
		for (const fd of batch) this.#options.closeDescriptor(fd);
		this.#drop(lane, batch.length);
	}

	#drop(lane: Lane, count: number): void {
		lane.candidate.own -= count;
		if (count === lane.fds.length) {
			lane.fds = [];
			lane.sinceMs = [];
		} else {
			lane.fds.splice(0, count);
			lane.sinceMs.splice(0, count);
		}
	}

	#return(lane: Lane): void {
		const { fds, sinceMs } = lane;
		this.#drop(lane, fds.length);
		this.#dirty.delete(lane);
		stopRetry(lane);
		for (let i = 0; i < fds.length; i++) this.#options.onReturn(fds[i], sinceMs[i]);
	}
}

function stopRetry(lane: Lane): void {
	if (lane.retryTimer !== null) clearTimeout(lane.retryTimer);
	lane.retryTimer = null;
	lane.retryMs = retryMsMin;
}

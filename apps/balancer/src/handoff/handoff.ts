import { DescriptorChannel, isOutOfDescriptors, LostDescriptors, NativeError } from "@shardcast/native";
import { type BalancerCounter, type HistogramWords, ShardState } from "@shardcast/scoreboard";
import { monotonicMs } from "@shardcast/wire";
import { type Candidate, inFlight, type ShardRow } from "../pick/candidate.ts";

/** The part of a `DescriptorChannel` that handing over needs. */
type DescriptorSender = Pick<DescriptorChannel, "send" | "close">;
/** The shard's end, of which the balancer has a copy. */
type DescriptorReturn = Pick<DescriptorChannel, "receive">;

interface HandoffOptions {
	readonly openChannel: (slot: number) => DescriptorSender;
	/** The sockets that hold each shard's connections until it receives them, by slot. */
	readonly returns: readonly DescriptorReturn[];
	/** Whether some shard could take a connection that was taken back from another. */
	readonly mayTakeBack: () => boolean;
	/** Whether `onReturn` has room for another message's connections. */
	readonly hasRoom: () => boolean;
	/** Tells the shard that a batch is in its socket, and wakes it if it sleeps. */
	readonly announce: (slot: number) => void;
	readonly closeDescriptor: (fd: number) => void;
	readonly count: (counter: BalancerCounter, amount: number) => void;
	readonly handoffMs: Pick<HistogramWords, "observe">;
	/** Gets a connection that its shard has not received, to give it to another. */
	readonly onReturn: (fd: number, sinceMs: number) => void;
	/** Called when the shard does not answer. */
	readonly onGone: (candidate: Candidate) => void;
}

/** The most connections that wait because a shard's socket is full. The socket holds 640 more; a shard that far behind gets no more for now. */
export const laneDescriptorsMax = 1024;

/**
 * Pause before a full socket is tried again: at first about one turn of a busy shard's loop, then doubled each time, so that a shard that
 * receives nothing for seconds costs about 30 attempts per second.
 */
const retryMsMin = 1;
const retryMsMax = 32;

/** After this time without a handoff, a shard with a recent heartbeat has received everything from its socket. */
const settledMs = 1000;

/** Connections that wait for one shard. */
interface Lane {
	readonly candidate: Candidate;
	incarnation: number;
	channel: DescriptorSender | null;
	fds: number[];
	/** When each of them was accepted (`monotonicMs`, which is also the clock of the shards' heartbeats). */
	sinceMs: number[];
	lastSentMs: number;
	/** Set while its socket is full and nothing is sent. */
	retryTimer: NodeJS.Timeout | null;
	retryMs: number;
}

/**
 * Hands connections over to shards: descriptors collected during a turn go out in messages of up to 64 at its end. One
 * owner. Bound: `laneDescriptorsMax` per shard, kept by the picker, which gives a shard no more then.
 *
 * A shard's socket belongs to the cluster, not to the process. What the shard has not received waits there for it, for its successor, or
 * for the balancer, which takes it back (`takeBack`) when the shard does not respond. Exactly one of them gets each connection, since the
 * kernel delivers each message once. A shard that resumes at any moment therefore serves what it has received and nothing else.
 *
 * The count of sent connections in the row must match those received or undone, even when a process dies. The balancer counts as undone what
 * it takes back, and (`settle`) what is still missing when a shard has caught up: lost on the way, or never counted.
 */
export class Handoff {
	readonly #options: HandoffOptions;
	readonly #lanes = new Map<number, Lane>();
	/** Lanes with something to send. */
	readonly #dirty = new Set<Lane>();

	constructor(options: HandoffOptions) {
		this.#options = options;
	}

	/** Number of connections that are not sent yet. */
	get waiting(): number {
		let waiting = 0;
		for (const lane of this.#dirty) waiting += lane.fds.length;
		return waiting;
	}

	/** Whether connections wait because the shard's socket is full. */
	get isBehind(): boolean {
		for (const lane of this.#dirty) if (lane.retryTimer !== null) return true;
		return false;
	}

	/** Takes ownership of `fd` and sends it with the next `flush`. */
	put(candidate: Candidate, fd: number, sinceMs: number): void {
		const lane = this.#laneOf(candidate);
		lane.fds.push(fd);
		lane.sinceMs.push(sinceMs);
		candidate.own++;
		this.#dirty.add(lane);
	}

	/** Sends as much as possible. Call it at the end of each turn that calls `put`. */
	flush(): void {
		for (const lane of this.#dirty) this.#flush(lane);
	}

	/** Call it several times a second; see the class. */
	settle(candidates: readonly Candidate[]): void {
		const nowMs = monotonicMs();
		for (const { row, serving, silent } of candidates) {
			// What a silent shard has not received is taken back below. A new balancer has sent nothing yet and would consider it settled.
			if (!serving || silent || inFlight(row) === 0) continue;
			const lastSentMs = this.#lanes.get(row.slot)?.lastSentMs ?? 0;
			if (nowMs - lastSentMs > settledMs && row.get("heartbeatMs") > lastSentMs + settledMs / 2)
				row.handoffsUndone = (row.handoffsUndone + inFlight(row)) | 0;
		}
	}

	/**
	 * Takes back what is in the sockets of shards that are down or do not respond, as long as another shard could take it. If none could, it
	 * stays there for the shard or its successor. Call it several times a second.
	 */
	takeBack(candidates: readonly Candidate[]): void {
		if (!this.#options.mayTakeBack()) return;
		for (const { row, silent } of candidates) {
			// A shard that drains still receives what was sent to it.
			if (row.state === ShardState.draining || (row.state === ShardState.serving && !silent)) continue;
			while (inFlight(row) > 0 && this.#options.hasRoom() && this.#takeBackMessage(row)) {}
		}
	}

	/** Closes the unsent connections and the channels; returns how many connections were dropped. */
	close(): number {
		let cutOff = 0;
		// A lane whose shard was replaced is only in the dirty list.
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
			if (candidate.silent && this.#options.mayTakeBack()) {
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

	/** False when there is none. */
	#takeBackMessage(row: ShardRow): boolean {
		let fds: readonly number[];
		try {
			fds = this.#options.returns[row.slot]!.receive();
		} catch (error) {
			if (!(error instanceof NativeError)) throw error;
			const lost = error instanceof LostDescriptors ? error.count : 0;
			row.handoffsUndone = (row.handoffsUndone + lost) | 0;
			this.#options.count("sendErrors", lost);
			return false;
		}
		row.handoffsUndone = (row.handoffsUndone + fds.length) | 0;
		this.#options.count("takenBack", fds.length);
		const nowMs = monotonicMs();
		for (const fd of fds) this.#options.onReturn(fd, nowMs);
		return fds.length > 0;
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
		// Counted before the shard is woken: the shard checks the count once more before it sleeps.
		row.handoffsSent = (row.handoffsSent + batch.length) | 0;
		this.#options.announce(row.slot);
		// The shard has its own copies, so closing ours does not affect the client.
		for (const fd of batch) this.#options.closeDescriptor(fd);
		this.#options.count("handedOff", batch.length);
		lane.lastSentMs = this.#observe(lane.sinceMs, batch.length);
		this.#drop(lane, batch.length);
	}

	/** @returns the current time. */
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
		if (isOutOfDescriptors(error)) {
			this.#options.count("sendRetries", 1);
			this.#retryLater(lane);
			return;
		}
		// Another attempt would not help: these are lost, but later ones need not be.
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

import { PartitionOffer } from "../client/partition-offer.ts";
import { type PartitionState, relayed } from "../client/partition-state.ts";
import type { IngestMemory } from "../ingest-memory.ts";
import type { FetchedPartition, FetchTarget } from "../protocol/fetch-protocol.ts";
import type { PartitionRoles, SourceSink } from "../source.ts";
import type { RelayLink } from "./relay-link.ts";
import { type RelayMessage, readRelayMessage, writeRelayMessage } from "./relay-message.ts";

interface PartitionRelayParts {
	readonly link: RelayLink;
	readonly sink: SourceSink;
	readonly memory: Pick<IngestMemory, "worker">;
	readonly stopping: () => boolean;
	/** Called when a partition must be fetched from Kafka again. */
	readonly onFetchAgain: () => void;
	/** Monotonic. */
	readonly nowMs?: () => number;
}

/** Why a partition is read from Kafka again instead of followed. Also the names of the counters. */
export type FollowEnd = "followGaps" | "followSilences" | "followElections" | "followUnreadable";

/** A partition without records is reported this often, so that other nodes know that it is being read. */
const quietMs = 1000;
/** Without news of a partition for this long, this node reads it from Kafka. */
const silentMsMax = 3000;
const lookMs = 500;
/** A reader this many records behind is still worth following: the follower waits for it. */
const behindMax = 1000;
/** Limit on the bytes of a partition's messages that wait for room. Further ones are dropped, which is a gap. */
const waitingBytesMax = 4 * 1024 * 1024;
/** Longer messages are not sent. Each node then reads these records from Kafka. */
const messageBytesMax = 4 * 1024 * 1024;

/**
 * Divides the reading of partitions among nodes. The node that reads a partition passes on what it gets, as the broker sent it; the others
 * follow: they stop fetching the partition and offer what they are sent to their own sink, from their own position.
 *
 * So nothing depends on who reads, or on Redis. Each node delivers a partition by its own position: a message that was seen is skipped, and one that
 * does not join on (it was lost), is late, or is of another leader's epoch makes the node read from Kafka at its position, as if it were alone. It
 * follows again when the messages reach its position. Two readers at once, or none, do no harm.
 *
 * Messages are valid only within an epoch of the partition's leader, in which the log only grows, and only if this node has checked its own
 * position with a leader of that epoch. So records that a failed leader lost are noticed here as they are with Kafka.
 *
 * **One per source, on its thread.** A reader copies each answer once; a follower copies nothing. Bound: 4 MiB for each followed partition.
 */
export class PartitionRelay {
	readonly #parts: PartitionRelayParts;
	readonly #nowMs: () => number;
	#roles: { readonly read: ReadonlySet<number>; readonly follow: ReadonlySet<number> } = { read: new Set(), follow: new Set() };
	/** By row: partitions that may be followed. */
	readonly #followers = new Map<number, Follower>();
	/** By row: when something was last sent. */
	readonly #sentMs = new Map<number, number>();
	readonly #offering = new Set<Promise<void>>();
	readonly #timer: NodeJS.Timeout;

	constructor(parts: PartitionRelayParts) {
		this.#parts = parts;
		this.#nowMs = parts.nowMs ?? (() => performance.now());
		this.#timer = setInterval(() => this.#look(), lookMs);
	}

	/** @param states the partitions that this shard reads. */
	divide({ read, follow }: PartitionRoles, states: Iterable<PartitionState>): void {
		this.#roles = { read: new Set(read), follow: new Set(follow) };
		for (const state of states) this.assigned(state);
	}

	/** Call when the partition is read by this shard from now on, or its role may have changed. */
	assigned(state: PartitionState): void {
		const known = this.#followers.get(state.row);
		const mayFollow = this.#roles.follow.has(state.row) && state.topicId !== null;
		if (known !== undefined && (!mayFollow || known.state !== state)) this.revoked(known.state);
		if (!mayFollow || this.#followers.has(state.row)) return;
		const { sink, stopping, link } = this.#parts;
		const follower = new Follower(state, new PartitionOffer(sink, stopping));
		this.#followers.set(state.row, follower);
		link.listen(state, (message) => this.#heard(follower, message));
	}

	/** Call when this shard no longer reads the partition. */
	revoked(state: PartitionState): void {
		const follower = this.#followers.get(state.row);
		this.#sentMs.delete(state.row);
		if (follower?.state !== state) return;
		this.#followers.delete(state.row);
		this.#parts.link.end(state);
		this.#leave(follower, null);
	}

	/**
	 * Call with each answer of a leader that has everything read before, when its records were taken. Passes it on if this node reads the partition
	 * for the others. Not before: they leave the dead letters to this node, which may stop before it comes to them.
	 */
	passOn(state: PartitionState, { leaderEpoch, offset }: FetchTarget, part: FetchedPartition): void {
		if (!this.#roles.read.has(state.row) || state.topicId === null || leaderEpoch < 0) return;
		const nowMs = this.#nowMs();
		if (part.records.length === 0 && nowMs - (this.#sentMs.get(state.row) ?? Number.NEGATIVE_INFINITY) < quietMs) return;
		const { link, memory } = this.#parts;
		const isTooLong = part.records.length > messageBytesMax;
		const message = isTooLong ? null : writeRelayMessage(leaderEpoch, offset, part);
		if (message === null && !isTooLong) return;
		this.#sentMs.set(state.row, nowMs);
		if (message === null || !link.send(state, message)) {
			memory.worker.add("relayDropped");
			return;
		}
		memory.worker.add("relaySent");
		memory.worker.add("relaySentBytes", message.length);
	}

	/** Offers nothing more when it has resolved. */
	async halt(): Promise<void> {
		clearInterval(this.#timer);
		for (const { state } of [...this.#followers.values()]) this.revoked(state);
		await Promise.all(this.#offering);
	}

	close(): void {
		this.#parts.link.close();
	}

	#heard(follower: Follower, bytes: Buffer): void {
		const { state } = follower;
		if (this.#followers.get(state.row) !== follower) return;
		const message = readRelayMessage(bytes);
		if (message === null) this.#leave(follower, "followUnreadable");
		else if (message.leaderEpoch !== state.checkedEpoch || state.leaderEpoch !== state.checkedEpoch)
			this.#leave(follower, "followElections");
		else if (state.followed || this.#begin(follower, message)) {
			if (message.from > follower.queuedTo) this.#leave(follower, "followGaps");
			else this.#queue(follower, message);
		}
	}

	#queue(follower: Follower, message: RelayMessage): void {
		if (message.next >= follower.queuedTo) follower.heardMs = this.#nowMs();
		this.#parts.sink.logEnds(follower.state, message.logEnd);
		// Dropped without room: then the next message shows a gap.
		if (message.next <= follower.queuedTo || follower.queuedBytes + message.records.length > waitingBytesMax) return;
		follower.add(message);
		if (follower.offering) return;
		follower.offering = true;
		const offering = this.#offer(follower).finally(() => this.#offering.delete(offering));
		this.#offering.add(offering);
	}

	/** Follows from now on if the messages reach the position. */
	#begin(follower: Follower, { from, next }: RelayMessage): boolean {
		const { state } = follower;
		if (state.offeredBy !== null || from > state.position || next < state.position - behindMax) return false;
		// Discards what was fetched ahead.
		state.rewind();
		state.followed = true;
		follower.begin(this.#nowMs());
		this.#noteFollowed();
		return true;
	}

	/** Reads from Kafka from now on, at the position. @param why null = it is no longer to be followed. */
	#leave(follower: Follower, why: FollowEnd | null): void {
		const { state } = follower;
		if (!state.followed) return;
		state.followed = false;
		state.rewind();
		follower.clear();
		if (why !== null) this.#parts.memory.worker.add(why);
		this.#noteFollowed();
		this.#parts.onFetchAgain();
	}

	async #offer(follower: Follower): Promise<void> {
		const { state, offer } = follower;
		const mayGoOn = () => state.live && state.followed && !this.#parts.stopping();
		try {
			for (let message = follower.take(); message !== undefined && mayGoOn(); message = follower.take()) {
				// The one before it was not offered to its end.
				if (message.from > state.position) {
					this.#leave(follower, "followGaps");
					break;
				}
				const { generation } = state;
				state.offeredBy = relayed;
				try {
					await offer.offer(state, message);
				} finally {
					state.letGo();
				}
				this.#parts.memory.worker.add("relayTaken");
				// The partition has another leader, or the message does not hold what it says.
				if (state.position < message.next) this.#leave(follower, state.generation === generation ? "followUnreadable" : "followElections");
			}
		} catch {
			// A batch is broken. If it is in Kafka, too, the broker's answer shows it.
			this.#leave(follower, "followUnreadable");
		} finally {
			follower.offering = false;
		}
	}

	#look(): void {
		const nowMs = this.#nowMs();
		for (const follower of this.#followers.values()) {
			const { state } = follower;
			if (state.leaderEpoch !== state.checkedEpoch) this.#leave(follower, "followElections");
			else if (nowMs - follower.heardMs > silentMsMax) this.#leave(follower, "followSilences");
		}
	}

	#noteFollowed(): void {
		const followed = [...this.#followers.values()].filter(({ state }) => state.followed).length;
		this.#parts.memory.worker.set("followed", followed);
	}
}

/** A partition that another node reads. */
class Follower {
	readonly state: PartitionState;
	readonly offer: PartitionOffer;
	/** What was offered or waits ends here. */
	queuedTo = 0;
	queuedBytes = 0;
	/** When a message last reached `queuedTo`. */
	heardMs = 0;
	/** A loop offers what waits. */
	offering = false;
	#queue: RelayMessage[] = [];

	constructor(state: PartitionState, offer: PartitionOffer) {
		this.state = state;
		this.offer = offer;
	}

	begin(nowMs: number): void {
		this.queuedTo = this.state.position;
		this.heardMs = nowMs;
	}

	add(message: RelayMessage): void {
		this.#queue.push(message);
		this.queuedTo = message.next;
		this.queuedBytes += message.records.length;
	}

	take(): RelayMessage | undefined {
		const message = this.#queue.shift();
		this.queuedBytes -= message?.records.length ?? 0;
		return message;
	}

	clear(): void {
		this.#queue = [];
		this.queuedBytes = 0;
	}
}

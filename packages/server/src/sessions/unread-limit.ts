import type { Counters } from "@shardcast/scoreboard";
import type { ClientSession } from "./client-session.ts";
import { Lane } from "./lanes/lane.ts";
import type { Lanes } from "./lanes/lanes.ts";

interface UnreadLimitParts {
	/** Returns all clients, also those that are being closed. */
	readonly clients: () => readonly ClientSession[];
	readonly lanes: Pick<Lanes, "memory" | "shrink">;
	/** Returns `--max-buffered-total`. */
	readonly bytesMax: () => number;
	/** Returns the lowest `--max-buffered` of any client. */
	readonly bufferedBytesMax: () => number;
	/** Closes clients that do not read, and frees what waits for them at once. */
	readonly cut: (clients: readonly ClientSession[]) => void;
	/** The clock of `RunningTime`. */
	readonly nowMs: () => number;
	readonly counters: Pick<Counters, "add" | "set">;
}

/** A client whose transport holds more than this share of its limit is behind. */
const behindShare = 1 / 16;
/** Share of the limit that publications in lanes may take, and what they are cut down to if they take more; what may not be dropped may take all. */
const lanesShare = 1 / 2;
const lanesShareAfter = 3 / 8;
/** What is left after clients have been closed. Less than everything, so that the next bytes do not close another one. */
const shareAfter = 3 / 4;
/** Share of the replies that is freed when others wait for it. */
const repliesShare = 1 / 4;
/** From this share of the limit on, it looks again before each turn, but not more often than `lookMsMin`. */
const highShare = 1 / 4;
const lookMsMin = 100;
/** Without publications, only replies can wait for clients. */
const lookMsQuiet = 5000;
/** A client that has read something within this time is not closed: `Pacing` limits bursts. */
const patienceMs = 2000;

/**
 * Limits what waits in a shard for all its clients together: in transports, and in lanes. Beyond the limit, lanes drop what may be dropped, and of
 * the clients that have read nothing for two seconds, those with the most unread bytes are closed (3008). So are those with the most bytes of replies
 * while commands of others wait for their memory (`ReplyRoom`).
 *
 * Owned by the shard's loop. Bound: the number of clients; only those that are behind have an entry. Cost: a look at each client, 0.1 µs, once a
 * second; every five seconds while nothing is published; up to ten times a second while much is unread.
 */
export class UnreadLimit {
	readonly #parts: UnreadLimitParts;
	/** The clients that are behind: since when, or when they last read something. */
	readonly #behind = new Map<ClientSession, number>();
	#bytes = 0;
	#isHigh = false;
	#isQuiet = true;
	#lookedMs = Number.NEGATIVE_INFINITY;

	constructor(parts: UnreadLimitParts) {
		this.#parts = parts;
	}

	/** A turn has sent something to clients. */
	published(): void {
		this.#isQuiet = false;
	}

	/** Call before each turn. */
	beforeTurn(): void {
		if (this.#isHigh && this.#parts.nowMs() - this.#lookedMs >= lookMsMin) this.#look();
	}

	everySecond(): void {
		const isQuiet = this.#isQuiet && this.#bytes === 0 && this.#parts.lanes.memory.waitingForReplies === 0;
		this.#isQuiet = true;
		if (!isQuiet || this.#parts.nowMs() - this.#lookedMs >= lookMsQuiet) this.#look();
	}

	/** The client has read something. */
	writable(client: ClientSession): void {
		if (this.#behind.has(client)) this.#behind.set(client, this.#parts.nowMs());
	}

	/** The client is gone. */
	forget(client: ClientSession): void {
		this.#behind.delete(client);
	}

	#look(): void {
		const { clients, lanes, bytesMax, bufferedBytesMax, counters, nowMs } = this.#parts;
		this.#lookedMs = nowMs();
		const behindBytes = bufferedBytesMax() * behindShare;
		let inTransports = 0;
		let slow = 0;
		for (const client of clients()) {
			const own = inTransport(client);
			const bytes = own + inStalledLane(client);
			inTransports += own;
			if (bytes > behindBytes || isInSlowLane(client)) slow++;
			if (bytes <= behindBytes && replyBytes(client) === 0) this.#behind.delete(client);
			else if (!this.#behind.has(client)) this.#behind.set(client, this.#lookedMs);
		}
		const max = bytesMax();
		const isOverShare = lanes.memory.publicationBytes > max * lanesShare;
		if (isOverShare && lanes.shrink(max * lanesShareAfter)) counters.add("unreadLimited", 1);
		this.#bytes = inTransports + lanes.memory.bytes;
		if (this.#bytes > max) {
			const { count, transportBytes } = this.#close(this.#bytes - max * shareAfter, unreadBytes);
			if (count > 0) counters.add("unreadLimited", 1);
			inTransports -= transportBytes;
			this.#bytes = inTransports + lanes.memory.bytes;
		}
		if (lanes.memory.waitingForReplies > 0) {
			inTransports -= this.#close(lanes.memory.replyBytes * repliesShare, replyBytes).transportBytes;
			this.#bytes = inTransports + lanes.memory.bytes;
		}
		this.#isHigh = this.#bytes > max * highShare;
		counters.set("unreadBytes", this.#bytes);
		counters.set("clientsBehind", slow);
		counters.set("laneBytes", lanes.memory.bytes);
		counters.set("laneMessages", lanes.memory.messages);
	}

	/**
	 * Closes clients that have read nothing for long, until about this many of the bytes that `held` finds are free.
	 * @returns how many, and the bytes that were in their transports.
	 */
	#close(bytes: number, held: (client: ClientSession) => number): { readonly count: number; readonly transportBytes: number } {
		const { cut, counters } = this.#parts;
		const stuck: { readonly client: ClientSession; readonly own: number; readonly bytes: number }[] = [];
		for (const [client, sinceMs] of this.#behind) {
			const bytes = held(client);
			if (this.#lookedMs - sinceMs >= patienceMs && bytes > 0) stuck.push({ client, own: inTransport(client), bytes });
		}
		stuck.sort((one, other) => other.bytes - one.bytes);
		let freed = 0;
		let freedInTransports = 0;
		let count = 0;
		for (; count < stuck.length && freed < bytes; count++) {
			freed += stuck[count]!.bytes;
			freedInTransports += stuck[count]!.own;
		}
		if (count > 0) cut(stuck.slice(0, count).map(({ client }) => client));
		counters.add("clientsCutForMemory", count);
		return { count, transportBytes: freedInTransports };
	}
}

const isInSlowLane = ({ transport }: ClientSession): boolean => transport instanceof Lane && transport.cause !== "long";

/** What its transport holds, which no other client shares. */
function inTransport({ transport }: ClientSession): number {
	return (transport instanceof Lane ? transport.transport : transport).getBufferedAmount();
}

const unreadBytes = (client: ClientSession): number => inTransport(client) + inStalledLane(client);

/** Unread bytes of its replies, which nothing but closing the client frees. */
const replyBytes = ({ transport }: ClientSession): number => (transport instanceof Lane ? transport.replyBytes : 0);

/**
 * What waits in a lane from which nothing may be dropped, so that only closing the client frees it. Others may share the publications: if less is
 * freed, the next look closes more.
 */
const inStalledLane = ({ transport }: ClientSession): number =>
	transport instanceof Lane && transport.cause === "stalled" ? transport.queuedBytes : 0;

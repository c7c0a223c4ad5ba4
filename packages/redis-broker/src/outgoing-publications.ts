import type { BrokerAccepted, BrokerFull, BrokerUnacknowledged, HistoryLimits, Idempotency } from "@shardcast/channel-log";

export interface OutgoingPublication {
	/** As it is stored. */
	readonly bytes: Buffer;
	readonly idempotency: Idempotency | undefined;
}

export type PublicationOutcome = BrokerAccepted | BrokerFull | BrokerUnacknowledged;

interface Waiting extends OutgoingPublication {
	readonly resolve: (outcome: PublicationOutcome) => void;
	readonly reject: (error: unknown) => void;
}

/** The publications of a channel that are not in Redis yet. Exists only while there are any. */
interface ChannelQueue {
	readonly channel: string;
	/** Of those that wait. */
	limits: HistoryLimits;
	waiting: Waiting[];
	waitingBytes: number;
	/** Batches without a reply. */
	underWay: number;
	timer: NodeJS.Timeout | undefined;
}

/** Sends a batch. Resolves with an outcome for each publication, in order. */
type Send = (
	channel: string,
	limits: HistoryLimits,
	publications: readonly OutgoingPublication[],
) => Promise<readonly PublicationOutcome[]>;

const batchMessagesMax = 100;
/** Longer only if it has a single publication. */
const batchBytesMax = 262_144;
/** Longest wait for the reply to the batch before. */
const waitMsMax = 100;
/** Limit on what waits and what is under way, for all channels. Further publications are refused: publishers try again. */
const bytesMax = 64 * 1024 * 1024;
/** What a publication costs in memory besides its bytes. */
const overheadBytes = 256;

/**
 * Sends publications to Redis. The first publication of a channel is sent at the end of the current callback, with the others of that callback. Those that
 * arrive before Redis has replied are sent together: at most 100, and after 100 ms at the latest. So an idle channel adds no delay, and a busy one costs few
 * commands. Publications of a channel keep their order. **One per shard.**
 */
export class OutgoingPublications {
	readonly #send: Send;
	readonly #queues = new Map<string, ChannelQueue>();
	/** Of all publications without an outcome. */
	#bytes = 0;

	constructor(send: Send) {
		this.#send = send;
	}

	/** Whether publications of the channel wait, or are under way. */
	has(channel: string): boolean {
		return this.#queues.has(channel);
	}

	take(channel: string, limits: HistoryLimits, { bytes, idempotency }: OutgoingPublication): Promise<PublicationOutcome> {
		if (this.#bytes + bytes.length + overheadBytes > bytesMax)
			return Promise.resolve({ outcome: "full", reason: "broker", detail: `publications of ${this.#bytes} bytes wait for Redis already` });
		const queue = this.#queueOf(channel, limits);
		if (!isSame(queue.limits, limits) || queue.waitingBytes + bytes.length > batchBytesMax) this.#sendBatch(queue);
		queue.limits = limits;
		queue.waitingBytes += bytes.length;
		this.#bytes += bytes.length + overheadBytes;
		return new Promise((resolve, reject) => {
			const waiting = queue.waiting.push({ bytes, idempotency, resolve, reject });
			if (waiting >= batchMessagesMax) this.#sendBatch(queue);
			else if (queue.underWay > 0) queue.timer ??= setTimeout(() => this.#sendBatch(queue), waitMsMax);
			else if (waiting === 1) queueMicrotask(() => this.#sendBatch(queue));
		});
	}

	#queueOf(channel: string, limits: HistoryLimits): ChannelQueue {
		const known = this.#queues.get(channel);
		if (known !== undefined) return known;
		const queue: ChannelQueue = { channel, limits, waiting: [], waitingBytes: 0, underWay: 0, timer: undefined };
		this.#queues.set(channel, queue);
		return queue;
	}

	#sendBatch(queue: ChannelQueue): void {
		clearTimeout(queue.timer);
		queue.timer = undefined;
		const { channel, limits, waiting: batch } = queue;
		if (batch.length === 0) return;
		queue.waiting = [];
		queue.waitingBytes = 0;
		queue.underWay++;
		const resolveAll = (outcomes: readonly PublicationOutcome[]): void => {
			for (const [index, { resolve }] of batch.entries()) resolve(outcomes[index]!);
		};
		const rejectAll = (error: unknown): void => {
			for (const { reject } of batch) reject(error);
		};
		void this.#send(channel, limits, batch)
			.then(resolveAll, rejectAll)
			.finally(() => this.#answered(queue, batch));
	}

	#answered(queue: ChannelQueue, batch: readonly Waiting[]): void {
		for (const { bytes } of batch) this.#bytes -= bytes.length + overheadBytes;
		if (--queue.underWay > 0) return;
		if (queue.waiting.length > 0) this.#sendBatch(queue);
		else this.#queues.delete(queue.channel);
	}
}

function isSame(one: HistoryLimits, other: HistoryLimits): boolean {
	return one.size === other.size && one.ttlMs === other.ttlMs && one.metaTtlMs === other.metaTtlMs;
}

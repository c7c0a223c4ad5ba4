import { closeDescriptor, type DescriptorChannel, LostDescriptors } from "@shardcast/native";
import type { Counters } from "@shardcast/scoreboard";

interface HandoffIntakeParts {
	readonly channel: Pick<DescriptorChannel, "receive" | "close">;
	/** Serves a connection, and takes ownership of its descriptor. */
	readonly adopt: (descriptor: number) => void;
	readonly counters: Counters;
	/** Words of this shard's row: the number of connections received, and of messages sent by the balancer. */
	readonly words: { handoffsReceived: number; readonly handoffBatches: number };
	readonly onError: (error: unknown) => void;
}

/** Most messages received in a turn, with up to 64 connections each: as many as the socket's queue and one refill hold. */
const messagesMax = 16;

/**
 * Receives the connections that the balancer hands over. Node cannot poll their socket, so each turn of the flush engine checks it, if the balancer has
 * announced a message since the last check. The balancer's doorbell starts such a turn. Without the announcement each check would cost a system call.
 *
 * Owned by the shard's loop. Bound: `messagesMax` messages per turn. The rest stays in the socket's queue, and when that is full, the balancer waits.
 */
export class HandoffIntake {
	readonly #parts: HandoffIntakeParts;
	#scheduled = false;
	#closed = false;
	/** Number of announced messages at the last check; NaN = check in any case. */
	#announced = Number.NaN;

	constructor(parts: HandoffIntakeParts) {
		this.#parts = parts;
	}

	/** Checks the socket if a message was announced. */
	readonly take = (): void => {
		if (this.#parts.words.handoffBatches !== this.#announced) this.look();
	};

	/** Checks the socket in any case, since the balancer may have died between a message and its announcement. */
	look(): void {
		if (this.#closed) return;
		// Read before the check: announced messages are in the socket, and later announcements cause another check.
		this.#announced = this.#parts.words.handoffBatches;
		for (let message = 0; message < messagesMax; message++) {
			const descriptors = this.#receive();
			if (descriptors === null) continue;
			if (descriptors.length === 0) return;
			const { words } = this.#parts;
			for (const descriptor of descriptors) {
				this.#adopt(descriptor);
				// After it counts as a connection, which then counts twice for a moment rather than not at all. One by one: if the whole message
				// counted twice, the balancer would give the next 64 connections to other shards.
				words.handoffsReceived = (words.handoffsReceived + 1) | 0;
			}
		}
		if (this.#scheduled) return;
		this.#scheduled = true;
		setImmediate(() => {
			this.#scheduled = false;
			this.look();
		});
	}

	close(): void {
		if (this.#closed) return;
		this.#closed = true;
		this.#parts.channel.close();
	}

	/** Null when a message's descriptors were lost because this process has no free ones. The balancer corrects its count. */
	#receive(): number[] | null {
		try {
			return this.#parts.channel.receive();
		} catch (error) {
			this.#parts.counters.add("handoffErrors", error instanceof LostDescriptors ? error.count : 1);
			this.#parts.onError(error);
			// After any other error the message may still be in the socket, and retrying at once would never end.
			if (error instanceof LostDescriptors) return null;
			this.#announced = Number.NaN;
			return [];
		}
	}

	#adopt(descriptor: number): void {
		try {
			this.#parts.adopt(descriptor);
		} catch (error) {
			this.#parts.counters.add("handoffErrors", 1);
			this.#parts.onError(error);
			closeDescriptor(descriptor);
		}
	}
}

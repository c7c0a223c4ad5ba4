import { closeDescriptor, type DescriptorChannel, LostDescriptors } from "@shardcast/native";
import type { Counters } from "@shardcast/scoreboard";

export interface HandoffIntakeParts {
	readonly channel: Pick<DescriptorChannel, "receive" | "close">;
	/** Serves a connection; its descriptor is taken over. */
	readonly adopt: (descriptor: number) => void;
	readonly counters: Counters;
	/** Of this shard's row: its part of what tells the balancer how many connections are on their way, and how many messages the balancer has sent. */
	readonly words: { handoffsReceived: number; readonly handoffBatches: number };
	readonly onError: (error: unknown) => void;
}

/** Messages taken in one turn: as many as the socket's queue and its refill hold, at up to 64 connections each. */
const messagesMax = 16;

/**
 * Takes in the connections that the balancer hands over. Node cannot poll the socket that they come through, so it is looked at
 * in each turn of the flush engine, which the balancer's doorbell starts, if the balancer has announced a message since the last look: a
 * look that finds nothing is a system call.
 *
 * One owner, the shard's loop. Bound: a turn takes `messagesMax` messages; what is left stays in the socket's queue, and when
 * that is full the balancer waits.
 */
export class HandoffIntake {
	readonly #parts: HandoffIntakeParts;
	#scheduled = false;
	#closed = false;
	/** Messages that had been announced at the last look; NaN = look whatever is announced. */
	#announced = Number.NaN;

	constructor(parts: HandoffIntakeParts) {
		this.#parts = parts;
	}

	/** Looks if a message was announced. */
	readonly take = (): void => {
		if (this.#parts.words.handoffBatches !== this.#announced) this.look();
	};

	/** Looks in any case: for a balancer that died between a message and its announcement. */
	look(): void {
		if (this.#closed) return;
		// Before the look: a message is there when it is announced, and one that is announced from now on makes for another look.
		this.#announced = this.#parts.words.handoffBatches;
		for (let message = 0; message < messagesMax; message++) {
			const descriptors = this.#receive();
			if (descriptors === null) continue;
			if (descriptors.length === 0) return;
			for (const descriptor of descriptors) this.#adopt(descriptor);
			// After they count as connections: in between they count twice, never not at all.
			const { words } = this.#parts;
			words.handoffsReceived = (words.handoffsReceived + descriptors.length) | 0;
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

	/** Null when a message's descriptors were lost: this process may open no more files. The balancer sets its count right. */
	#receive(): number[] | null {
		try {
			return this.#parts.channel.receive();
		} catch (error) {
			this.#parts.counters.add("handoffErrors", error instanceof LostDescriptors ? error.count : 1);
			this.#parts.onError(error);
			// Any other error may have left the message where it is, and looking again at once would never end.
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

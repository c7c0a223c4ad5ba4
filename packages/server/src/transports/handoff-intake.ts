import { closeDescriptor, type DescriptorChannel, LostDescriptors } from "@shardcast/native";
import type { Counters } from "@shardcast/scoreboard";

export interface HandoffIntakeParts {
	readonly channel: Pick<DescriptorChannel, "receive" | "close">;
	/** Serves a connection; its descriptor is taken over. */
	readonly adopt: (descriptor: number) => void;
	readonly counters: Counters;
	/** This shard's part of what tells the balancer how many connections are on their way. */
	readonly words: { handoffsReceived: number };
	readonly onError: (error: unknown) => void;
}

/** Messages taken in one turn: as many as the socket's queue and its refill hold, at up to 64 connections each. */
const messagesMax = 16;

/**
 * Takes in the connections that the balancer hands over. Node cannot poll the socket that they come through, so it is looked at
 * in each turn of the flush engine, which the balancer's doorbell starts.
 *
 * One owner, the shard's loop. Bound: a turn takes `messagesMax` messages; what is left stays in the socket's queue, and when
 * that is full the balancer waits.
 */
export class HandoffIntake {
	readonly #parts: HandoffIntakeParts;
	#scheduled = false;
	#closed = false;

	constructor(parts: HandoffIntakeParts) {
		this.#parts = parts;
	}

	readonly take = (): void => {
		if (this.#closed) return;
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
			this.take();
		});
	};

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
			return error instanceof LostDescriptors ? null : [];
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

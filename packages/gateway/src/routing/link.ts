import type { ConnectionKind } from "../backends/backend-messages.ts";
import type { LinkCounts } from "../backends/link-counts.ts";
import type { LinkOutbox } from "../backends/link-outbox.ts";
import type { LinkShares } from "../buffers/buffer-share.ts";
import type { Frame } from "../buffers/frame.ts";
import type { BackendQueue } from "../lanes/backend-queue.ts";
import type { HeldBudget } from "../lanes/held-frames.ts";

/** A backend as clients of this process reach it: by TCP, or through the process that is connected to it. */
export interface Link {
	readonly id: number;
	/** "host:port". */
	readonly address: string;
	readonly isUp: boolean;
	/** Whether this process is connected to the backend. */
	readonly isOwn: boolean;
	readonly counts: LinkCounts;
	readonly outbox: LinkOutbox;
	/** Of the pool, of frames that go to the backend. */
	readonly outShares: LinkShares;
	start(): void;
	/** Ends it at once. */
	stop(): void;
	/** Ends it when all that waits has been written, or after this time. */
	drain(deadlineMs: number): Promise<void>;
	/**
	 * Sends a frame, which is retained if it is queued or held.
	 * @param budget of its client, for frames that are held because the queue is full. "full": it is used up. "down": the link is not up.
	 */
	send(frame: Frame, budget: HeldBudget): ReturnType<BackendQueue["offer"]> | "down";
	clientJoined(client: number): void;
	clientLeft(client: number): void;
	/** Asks again about a frame that waits for room. */
	resume(kind: ConnectionKind): void;
	/** Buffers of the pool came back. */
	buffersFreed(): void;
}

import type { ConnectionKind } from "../backends/backend-messages.ts";
import type { LinkCounts, LinkEnd } from "../backends/link-counts.ts";
import type { LinkOutbox } from "../backends/link-outbox.ts";
import type { LinkShares } from "../buffers/buffer-share.ts";
import type { Frame } from "../buffers/frame.ts";
import { mayDrop } from "../frames/frame-codec.ts";
import type { FrameClass } from "../frames/frame-descriptor.ts";
import type { FrameDecision } from "../frames/frame-reader.ts";
import type { BackendQueue } from "../lanes/backend-queue.ts";
import type { HeldBudget } from "../lanes/held-frames.ts";
import type { Sources } from "./source.ts";

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
	/** Its connections as sources of frames; null before the first frame. Written only by `FromBackends`. */
	sources: Sources | null;
	start(): void;
	/** Ends it at once. */
	stop(): void;
	/**
	 * Ends it for good without losing what the backend has sent: nothing more is written, and what has been sent is read, for a time. `send` says "down" from
	 * now on.
	 * @param left called once, when it has ended; perhaps at once. Also by `stop`.
	 */
	leave(left: () => void): void;
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

/** What the owner of links is told of each. */
export interface LinkListener {
	/**
	 * Decides about a frame before it has a buffer; not called for those of class LINK. After `wait`, nothing of this connection is read until
	 * `resume`, which asks again.
	 */
	readonly begin: (link: Link, frameClass: FrameClass, length: number, clientId: number, from: ConnectionKind) => FrameDecision;
	/** Gets a frame that was taken; its backend id is the link's. The reference stays the link's: `retain` to keep the frame. */
	readonly onFrame: (link: Link, frame: Frame, from: ConnectionKind) => void;
	/** Takes out a VIDEO frame of the link that waits for a client, since there is no buffer for a newer one. Null, or left out: none waits. */
	readonly olderVideo?: (link: Link, clientId: number) => Frame | null;
	readonly onUp: (link: Link) => void;
	/** @param why left out by a link through another process. */
	readonly onDown: (link: Link, why?: LinkEnd) => void;
	/** A CONTROL, ACK or FILE frame that was accepted may not have reached the backend. The reference stays the link's. */
	readonly onUndelivered: (link: Link, frame: Frame) => void;
	/** Ids of the clients that there are, for the other end of a link that begins now. */
	readonly clients: (link: Link) => Iterable<number>;
}

/** Gives up all that waits for a link. @param unsent frames that were taken out of its outbox and not sent, with their references. */
export function loseAll(link: Link, unsent: readonly Frame[], { onUndelivered }: Pick<LinkListener, "onUndelivered">): void {
	const lost = (frame: Frame): void => {
		if (mayDrop(frame.frameClass)) {
			link.counts.undeliveredVideo++;
			return;
		}
		link.counts.undelivered++;
		onUndelivered(link, frame);
	};
	for (const frame of unsent) {
		lost(frame);
		frame.release();
	}
	link.outbox.clear(lost);
}

import type { OlderVideo } from "../buffers/buffer-pool.ts";
import type { Frame } from "../buffers/frame.ts";
import { isUrgent } from "../frames/frame-codec.ts";
import { BackendQueue, type BackendQueueCounters } from "../lanes/backend-queue.ts";
import type { HeldBudget } from "../lanes/held-frames.ts";
import type { ConnectionKind } from "./backend-messages.ts";
import type { Outgoing } from "./connection-writer.ts";
import type { LinkOptions } from "./link-options.ts";

/** A message of the link itself, which is written after `after` frames. */
interface Message {
	readonly bytes: Buffer;
	readonly after: number;
}

/** Messages that may wait; a backend that lets more wait does not read. */
const messagesMax = 4096;

/**
 * What waits for the two connections of a link: frames, and messages of the link itself. Messages keep their place among the frames of the control
 * connection; only frames that were held may come after a message that is newer. One owner, its link.
 *
 * Bounds: those of `BackendQueue` for frames; 4,096 messages, after which `tell` says no.
 */
export class LinkOutbox implements OlderVideo {
	readonly queue: BackendQueue;
	readonly #control: Message[] = [];
	readonly #data: Message[] = [];
	/** Frames that came for the control connection, and went. */
	#accepted = 0;
	#taken = 0;

	/** @param counters common to several outboxes; without, it has its own. */
	constructor(
		{ queueFrames, priorityQueueFrames, queueBytes }: Pick<LinkOptions, "queueFrames" | "priorityQueueFrames" | "queueBytes">,
		counters?: BackendQueueCounters,
	) {
		this.queue = new BackendQueue({ controlFramesMax: priorityQueueFrames, dataFramesMax: queueFrames, bytesMax: queueBytes }, counters);
	}

	get isEmpty(): boolean {
		return !this.has("control") && !this.has("data");
	}

	has(kind: ConnectionKind): boolean {
		const { controlCount, dataCount } = this.queue;
		return kind === "control" ? controlCount > 0 || this.#control.length > 0 : dataCount > 0 || this.#data.length > 0;
	}

	/** A frame that is queued or held is retained. */
	offer(frame: Frame, budget: HeldBudget): ReturnType<BackendQueue["offer"]> {
		const offered = this.queue.offer(frame, budget);
		if (isUrgent(frame.frameClass) && (offered === "queued" || offered === "held")) this.#accepted++;
		return offered;
	}

	olderVideo(clientId: number): Frame | null {
		return this.queue.olderVideo(clientId);
	}

	oldestVideo(): Frame | null {
		return this.queue.oldestVideo();
	}

	/** @returns false when too many messages wait. */
	tell(bytes: Buffer, kind: ConnectionKind): boolean {
		const messages = kind === "control" ? this.#control : this.#data;
		if (messages.length >= messagesMax) return false;
		messages.push({ bytes, after: kind === "control" ? this.#accepted : 0 });
		return true;
	}

	/** Takes out what is next. The reference of a frame is the caller's. */
	next(kind: ConnectionKind): Outgoing | null {
		if (kind === "data") return this.#data.length > 0 ? this.#data.shift()!.bytes : this.queue.nextData();
		if (this.#control.length > 0 && this.#control[0]!.after <= this.#taken) return this.#control.shift()!.bytes;
		const frame = this.queue.nextControl();
		if (frame !== null) this.#taken++;
		return frame;
	}

	/** Removes everything. @param lost gets each frame; the reference stays the queue's. */
	clear(lost: (frame: Frame) => void): void {
		this.#control.length = 0;
		this.#data.length = 0;
		this.#accepted = 0;
		this.#taken = 0;
		this.queue.clear(lost);
	}
}

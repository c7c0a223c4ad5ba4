import type { ConnectionKind } from "../backends/backend-messages.ts";
import { ConnectionReader } from "../backends/connection-reader.ts";
import type { LinkCounts } from "../backends/link-counts.ts";
import type { LinkOutbox } from "../backends/link-outbox.ts";
import type { BufferPool, OlderVideo } from "../buffers/buffer-pool.ts";
import type { LinkShares } from "../buffers/buffer-share.ts";
import { Frame } from "../buffers/frame.ts";
import { Bandwidth } from "../flow/bandwidth.ts";
import { FrameClass } from "../frames/frame-descriptor.ts";
import { FrameDecision, FrameReader } from "../frames/frame-reader.ts";
import type { BusStream, StreamEnds } from "./bus-stream.ts";
import { FrameFeed } from "./frame-feed.ts";
import type { ChannelEnds, ChannelStreams } from "./gateway-bus.ts";

/** Messages of class LINK between processes are shorter. */
const messageBytesMax = 64 * 1024;

export interface ChannelParts {
	readonly outbox: LinkOutbox;
	readonly counts: LinkCounts;
	readonly pool: BufferPool;
	/** Of the pool, of frames that come. */
	readonly shares: LinkShares;
	readonly frameBytesMax: number;
	readonly framesPerTurn: number;
	readonly nowMs: () => number;
	/** Decides about a frame that is not of class LINK. */
	readonly begin: (frameClass: FrameClass, length: number, clientId: number, from: ConnectionKind) => FrameDecision;
	readonly onFrame: (frame: Frame, from: ConnectionKind) => void;
	/** Where VIDEO waits that has come before, and may be given up. */
	readonly older: OlderVideo;
	/** A message of class LINK. */
	readonly onMessage: (text: string) => void;
	/** What waited has been written, with room for more. */
	readonly onWritten: (kind: ConnectionKind) => void;
	/** Nobody takes what is sent any more. What the other end has sent before its orderly end is still given. */
	readonly onDeaf: () => void;
	/**
	 * Nothing more comes. Orderly: the other end has sent all, and still takes what is sent until `end`. Otherwise the channel is over, perhaps after its
	 * orderly end. Never from within `close`.
	 */
	readonly onEnd: (isOrderly: boolean) => void;
}

/** One of the two streams. */
class Half {
	readonly feed: FrameFeed;
	readonly reader: ConnectionReader;
	readonly ends: StreamEnds;
	stream: BusStream | null = null;
	hasEnded = false;

	constructor(parts: ChannelParts, kind: ConnectionKind, ended: (half: Half, isOrderly: boolean) => void) {
		const { outbox, counts, pool, shares, frameBytesMax, framesPerTurn, nowMs } = parts;
		this.feed = new FrameFeed(() => outbox.next(kind), counts);
		this.reader = new ConnectionReader({
			...{ counts, nowMs, framesPerTurn },
			reader: new FrameReader(pool, frameBytesMax, counts.reader, shares[kind], parts.older),
			rate: new Bandwidth(0, nowMs()),
			begin: (frameClass, length, clientId) => {
				if (frameClass !== FrameClass.LINK) return parts.begin(frameClass, length, clientId, kind);
				return length > messageBytesMax ? FrameDecision.skip : FrameDecision.take;
			},
			onFrame: (frame) => {
				if (frame.frameClass !== FrameClass.LINK) parts.onFrame(frame, kind);
				else parts.onMessage(frame.bytes.toString("utf8", Frame.payloadAt + 1, frame.end));
			},
			onFailed: () => {
				this.stream?.reset();
				ended(this, false);
			},
			resume: () => this.stream?.resume(),
		});
		this.ends = {
			source: this.feed,
			sink: {
				received: (bytes, from, to) => this.reader.read(bytes, to, from),
				wrote: () => {
					if (outbox.has(kind)) this.stream?.wake();
					parts.onWritten(kind);
				},
				deaf: () => {
					for (const frame of this.feed.stop()) frame.release();
					parts.onDeaf();
				},
				ended: (isOrderly) => ended(this, isOrderly),
			},
		};
	}
}

/**
 * Frames both ways between two processes, about one backend: what must not wait for the rest goes through its control stream. One owner, the link or
 * the peer at its end, which has the queue of what is sent. Reading and writing make no object per frame.
 */
export class PeerChannel {
	readonly ends: ChannelEnds;
	readonly #parts: ChannelParts;
	readonly #control: Half;
	readonly #data: Half;
	#isClosed = false;

	constructor(parts: ChannelParts) {
		this.#parts = parts;
		this.#control = new Half(parts, "control", this.#ended);
		this.#data = new Half(parts, "data", this.#ended);
		this.ends = { control: this.#control.ends, data: this.#data.ends };
	}

	/** Whether nothing is to be written. */
	get isIdle(): boolean {
		return this.#parts.outbox.isEmpty && this.#control.feed.isEmpty && this.#data.feed.isEmpty;
	}

	/** The streams are there. */
	attach({ control, data }: ChannelStreams): void {
		this.#control.stream = control;
		this.#data.stream = data;
		control.wake();
		data.wake();
	}

	/** Something waits to be written. */
	wake(kind: ConnectionKind): void {
		this.#half(kind).stream?.wake();
	}

	/** A frame waits to be written: in this turn, if so many do that its queue would be full. */
	offered(kind: ConnectionKind): void {
		const { stream } = this.#half(kind);
		stream?.wake();
		if (this.#parts.outbox.queue.isHalfFull(kind)) stream?.hurry();
	}

	/** Asks again about a frame that waits for room. */
	resume(kind: ConnectionKind): void {
		this.#half(kind).reader.resume();
	}

	buffersFreed(): void {
		this.#control.reader.buffersFreed();
		this.#data.reader.buffersFreed();
	}

	/** Ends it when all that waits has been written. It is still read until the other end ends it, too. */
	end(): void {
		this.#control.stream?.end();
		this.#data.stream?.end();
	}

	/** Ends it at once. @returns frames that were taken out of the queue and not sent, with their references. */
	close(): Frame[] {
		if (this.#isClosed) return [];
		this.#isClosed = true;
		const frames: Frame[] = [];
		for (const { stream, reader, feed } of [this.#control, this.#data]) {
			stream?.reset();
			reader.stop();
			frames.push(...feed.stop());
		}
		return frames;
	}

	#half(kind: ConnectionKind): Half {
		return kind === "control" ? this.#control : this.#data;
	}

	readonly #ended = (half: Half, isOrderly: boolean): void => {
		if (this.#isClosed) return;
		half.hasEnded = true;
		if (isOrderly) half.reader.stop();
		if (!isOrderly || (this.#control.hasEnded && this.#data.hasEnded)) this.#parts.onEnd(isOrderly);
	};
}

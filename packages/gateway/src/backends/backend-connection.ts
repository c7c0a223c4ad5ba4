import { connect, type Socket } from "node:net";
import type { Frame } from "../buffers/frame.ts";
import type { ConnectionKind } from "./backend-messages.ts";
import { ConnectionReader, type ReaderParts } from "./connection-reader.ts";
import { ConnectionWriter, type WriterParts, WritesAtOnce } from "./connection-writer.ts";
import { dialProblem } from "./dial-problem.ts";
import type { LinkEnd } from "./link-counts.ts";
import { SpareBuffers, spareBufferBytes } from "./spare-buffers.ts";
import { TurnShare } from "./turn-share.ts";

/**
 * VIDEO and FILE frames that are handled in a turn of the event loop, from all backends together. While VIDEO uses up a core, CONTROL was faster by a
 * third to a half with 24 than with 64, and about as much passed.
 */
const dataFramesPerTurn = 24;

/** Writes of CONTROL that backends get at once in a turn of the event loop, all together: 80 µs at most. */
const writesAtOnce = 8;

/** What all connections of a process share. */
export class SharedBuffers {
	/** What is read is handled or copied before any other connection is read, so one buffer serves all. */
	readonly read = Buffer.allocUnsafeSlow(spareBufferBytes);
	readonly spare = new SpareBuffers();
	/** VIDEO and FILE of all backends. CONTROL, which must not wait, has no share. */
	readonly dataTurns = new TurnShare(dataFramesPerTurn);
	readonly atOnce = new WritesAtOnce(writesAtOnce);
}

interface ConnectionParts
	extends Omit<ReaderParts, "resume" | "onFailed" | "rate" | "share" | "spare">,
		Omit<WriterParts, "socket" | "spare" | "rate" | "atOnce"> {
	readonly kind: ConnectionKind;
	readonly host: string;
	readonly port: number;
	readonly buffers: SharedBuffers;
	readonly readRate: ReaderParts["rate"];
	readonly writeRate: WriterParts["rate"];
	readonly onConnected: (connection: BackendConnection) => void;
	/** Something was received. */
	readonly onHeard: () => void;
	/** Called at most once, and never from within `close`. */
	readonly onEnd: (why: LinkEnd, detail: string) => void;
}

/** One TCP connection to a backend. One owner, its link. Reading and writing make no object per frame. */
export class BackendConnection {
	isConnected = false;
	readonly kind: ConnectionKind;
	readonly #socket: Socket;
	readonly #reader: ConnectionReader;
	readonly #writer: ConnectionWriter;
	readonly #parts: ConnectionParts;
	#isClosed = false;

	constructor(parts: ConnectionParts) {
		const { kind, host, port, buffers, readRate, writeRate } = parts;
		this.#parts = parts;
		this.kind = kind;
		const callback = (length: number, bytes: Uint8Array): boolean => {
			if (this.#isClosed) return false;
			parts.onHeard();
			return this.#reader.read(bytes as Buffer, length);
		};
		const socket = connect({ host, port, noDelay: true, keepAlive: true, onread: { buffer: buffers.read, callback } });
		this.#socket = socket;
		const onFailed = (problem: string) => this.#ended("oversized", problem);
		const share = kind === "data" ? buffers.dataTurns : undefined;
		this.#reader = new ConnectionReader({ ...parts, share, spare: buffers.spare, rate: readRate, onFailed, resume: () => socket.resume() });
		this.#writer = new ConnectionWriter({ ...parts, rate: writeRate, socket, spare: buffers.spare, atOnce: buffers.atOnce });
		socket.once("connect", this.#onConnect);
		socket.once("end", () => this.#ended("lost", "the backend closed it"));
		socket.once("error", (error: NodeJS.ErrnoException) => {
			if (this.isConnected) this.#ended("lost", error.code ?? error.message);
			else this.#ended("dial", dialProblem(error));
		});
		socket.once("close", () => this.#ended("lost", "it broke"));
	}

	/** Whether the backend cannot be heard because nobody reads it. */
	get isHeld(): boolean {
		return this.#reader.isHeld;
	}

	/** Whether nothing is written because the bandwidth is used up. */
	get isThrottled(): boolean {
		return this.#writer.isThrottled;
	}

	/** Whether the backend has sent a part of a frame, and nothing for so long. */
	isStalled(nowMs: number, timeoutMs: number): boolean {
		return this.#reader.isStalled(nowMs, timeoutMs);
	}

	/** Whether something is on its way to the kernel. */
	get isWriting(): boolean {
		return this.#writer.isBusy;
	}

	/** Something waits to be written. */
	wake(): void {
		if (this.isConnected) this.#writer.wake();
	}

	/** Something waits that should be written at once. */
	wakeAtOnce(): void {
		if (this.isConnected) this.#writer.wakeAtOnce();
	}

	/** So much waits that it should be written in this turn. */
	hurry(): void {
		if (this.isConnected) this.#writer.hurry();
	}

	resume(): void {
		this.#reader.resume();
	}

	buffersFreed(): void {
		this.#reader.buffersFreed();
	}

	/**
	 * Writes no more than what is under way, and tells the backend so. It is still read.
	 * @returns frames that the kernel may not have taken, each with a reference that is the caller's.
	 */
	finish(): Frame[] {
		const frames = this.#writer.finish();
		this.#socket.end();
		return frames;
	}

	/** Like `finish`, but frames that the kernel has not taken until `close` are returned by that. */
	end(): void {
		this.#writer.end();
		this.#socket.end();
	}

	/** Closes it at once. @returns frames that the kernel may not have taken, with their references; none that `finish` returned. */
	close(): Frame[] {
		this.#isClosed = true;
		this.#reader.stop();
		const frames = this.#writer.stop();
		this.#socket.destroy();
		return frames;
	}

	readonly #onConnect = (): void => {
		this.isConnected = true;
		if (!this.#isClosed) this.#parts.onConnected(this);
	};

	#ended(why: LinkEnd, detail: string): void {
		if (this.#isClosed) return;
		this.#isClosed = true;
		this.#parts.onEnd(why, detail);
	}
}

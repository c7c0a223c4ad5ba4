import type { BufferPool } from "../buffers/buffer-pool.ts";
import type { BufferShare } from "../buffers/buffer-share.ts";
import { BufferLimits } from "../buffers/buffer-tiers.ts";
import { Frame } from "../buffers/frame.ts";
import { classOf, messageProblem, readU32, writeU32 } from "../frames/frame-codec.ts";
import { FrameClass, FrameLayout } from "../frames/frame-descriptor.ts";
import type { HeldBudget } from "../lanes/held-frames.ts";
import type { GatewayCounts } from "../monitor/gateway-counts.ts";

interface TurnClient {
	readonly isGone: boolean;
	readonly turn: ClientTurn;
	readonly queues: { readonly budget: HeldBudget; readonly share: BufferShare };
}

interface ClientTurnsParts<Client> {
	readonly framesPerTurn: number;
	readonly payloadBytesMax: number;
	readonly pool: BufferPool;
	readonly counts: Pick<GatewayCounts, "dropped" | "deferred">;
	/** @param message valid until this returns. */
	readonly handle: (client: Client, message: Buffer) => void;
	/** A message that waited could not be handled. Closes the client, as the guard of its WebSocket does for one that did not wait. */
	readonly failed: (client: Client, error: unknown) => void;
}

const firstPieceBytes = 4096;
const lengthBytes = 4;
/** Twice what uWebSockets.js reads of a client at once. */
const waitingBytesMax = 2 ** 20;

/** A client's part of a turn, and its messages that wait for later ones: in buffers of the pool, each message behind its length. */
export class ClientTurn {
	/** The turn that `frames` were handled in. */
	number = 0;
	frames = 0;
	/** Messages that wait, and their bytes. */
	count = 0;
	bytes = 0;
	readonly #pieces: Frame[] = [];
	/** Where the next message begins in the first piece. */
	#from = Frame.headerAt;

	/** False = there is no buffer for it. */
	push(message: Buffer, pool: BufferPool, share: BufferShare): boolean {
		let last = this.#pieces.at(-1);
		if (last === undefined || last.end + lengthBytes + message.length > last.bytes.length) {
			const least = Math.min(Math.max(firstPieceBytes, this.bytes), BufferLimits.partBytesMin, pool.payloadBytesMax);
			const piece = pool.take(Math.max(least, message.length - FrameLayout.messageHeaderBytes), null, share);
			if (piece === null) return false;
			piece.length = Frame.headerAt - Frame.payloadAt;
			this.#pieces.push(piece);
			last = piece;
		}
		writeU32(last.bytes, last.end, message.length);
		message.copy(last.bytes, last.end + lengthBytes);
		last.length += lengthBytes + message.length;
		this.count++;
		this.bytes += message.length;
		return true;
	}

	/** Takes out the next message, which is valid until `release`. There must be one. */
	next(budget: HeldBudget): Buffer {
		const piece = this.#pieces[0]!;
		const at = this.#from + lengthBytes;
		const length = readU32(piece.bytes, this.#from);
		this.#from = at + length;
		this.count--;
		this.bytes -= length;
		budget.bytes -= length;
		return piece.bytes.subarray(at, this.#from);
	}

	release(): void {
		const piece = this.#pieces[0];
		if (piece === undefined || this.#from < piece.end) return;
		this.#pieces.shift();
		this.#from = Frame.headerAt;
		piece.release();
	}

	clear(budget: HeldBudget): void {
		for (const piece of this.#pieces.splice(0)) piece.release();
		budget.bytes -= this.bytes;
		this.#from = Frame.headerAt;
		this.count = 0;
		this.bytes = 0;
	}
}

/**
 * How many messages of a client are handled in a turn of the event loop, so that none delays the others. uWebSockets.js reads up to 512 KiB of a client
 * at once, hands over every message in it, and cannot be stopped: what is above the client's part of the turn waits, and so does what comes behind
 * it. It is handled even if its client goes.
 *
 * One owner, the gateway's loop. Bounds: `waitingBytesMax`, and what waits counts to its client's budget and share of the buffers. When a message finds
 * no room, those before it are handled at once: a client that goes on sending faster than its part is slowed down by TCP, not closed.
 */
export class ClientTurns<Client extends TurnClient> {
	readonly #parts: ClientTurnsParts<Client>;
	/** Clients of which messages wait. */
	readonly #waiting = new Set<Client>();
	#framesMax: number;
	#number = 1;
	#end: NodeJS.Immediate | null = null;

	constructor(parts: ClientTurnsParts<Client>) {
		this.#parts = parts;
		this.#framesMax = parts.framesPerTurn;
	}

	get waiting(): number {
		return this.#waiting.size;
	}

	/** @param message valid until this returns. */
	take(client: Client, message: Buffer): void {
		const { turn } = client;
		if (turn.count > 0 || this.#handled(turn) >= this.#framesMax) {
			this.#keep(client, message);
			return;
		}
		this.#end ??= setImmediate(this.#onEnd);
		turn.frames = this.#handled(turn) + 1;
		turn.number = this.#number;
		this.#parts.handle(client, message);
	}

	/** Handles all that waits before anything else happens: other processes soon take no more. */
	hurry(): void {
		this.#framesMax = Number.POSITIVE_INFINITY;
		if (this.#waiting.size > 0) process.nextTick(this.#onEnd);
	}

	stop(): void {
		if (this.#end !== null) clearImmediate(this.#end);
		for (const { turn, queues } of this.#waiting) turn.clear(queues.budget);
		this.#waiting.clear();
	}

	#handled({ number, frames }: ClientTurn): number {
		return number === this.#number ? frames : 0;
	}

	#keep(client: Client, message: Buffer): void {
		const { counts, payloadBytesMax, pool, handle } = this.#parts;
		const frameClass = messageProblem(message, payloadBytesMax) === null ? classOf(message, FrameLayout.messageHeaderBytes) : -1;
		const { turn, queues } = client;
		const { budget, share } = queues;
		// Others are counted, and nothing else.
		while (frameClass > FrameClass.LINK) {
			const hasRoom = turn.bytes + message.length <= waitingBytesMax && budget.bytes + message.length <= budget.bytesMax;
			if (hasRoom && turn.push(message, pool, share)) {
				budget.bytes += message.length;
				counts.deferred++;
				this.#waiting.add(client);
				return;
			}
			if (turn.count === 0) break;
			this.#handleOldest(client);
			if (client.isGone) {
				// It was closed for that one: see below.
				counts.dropped.client_closed++;
				return;
			}
		}
		handle(client, message);
	}

	readonly #onEnd = (): void => {
		let isOver = true;
		for (const client of this.#waiting) {
			this.#handleNext(client);
			if (client.turn.count > 0 && this.#handled(client.turn) < this.#framesMax) isOver = false;
		}
		if (!isOver) {
			// Between two messages, links hear that the kernel has taken what they wrote. Otherwise they could not write, and their queues would be full.
			process.nextTick(this.#onEnd);
			return;
		}
		this.#number++;
		this.#end = this.#waiting.size > 0 ? setImmediate(this.#onEnd) : null;
	};

	#handleNext(client: Client): void {
		const { turn } = client;
		const handled = this.#handled(turn);
		if (handled >= this.#framesMax) return;
		turn.frames = handled + 1;
		turn.number = this.#number;
		this.#handleOldest(client);
	}

	#handleOldest(client: Client): void {
		const { counts, handle, failed } = this.#parts;
		const { turn, queues } = client;
		const wasGone = client.isGone;
		try {
			handle(client, turn.next(queues.budget));
		} catch (error) {
			failed(client, error);
		}
		turn.release();
		if (!wasGone && client.isGone) {
			// It was closed since this one could not be passed on. None that came later is.
			counts.dropped.client_closed += turn.count;
			turn.clear(queues.budget);
		}
		if (turn.count === 0) this.#waiting.delete(client);
	}
}

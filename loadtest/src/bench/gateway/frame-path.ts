import {
	BackendQueue,
	BufferPool,
	ClientLanes,
	encodeFrameHeader,
	type Frame,
	FrameClass,
	FrameDecision,
	FrameLayout,
	FrameReader,
	type FrameSink,
	HeldBudget,
} from "@shardcast/gateway";

/** A piece as TCP delivers it: as many frames as fit, and a part of the next one. */
export const pieceBytes = 64 * 1024;
export const payloadBytes = 200;
const frameBytes = FrameLayout.headerBytes + payloadBytes;
const sourcePieces = 16;

/** The bytes of CONTROL frames for the clients in turn, or for all. */
export function framesFor(clients: number, broadcast: boolean): Buffer {
	const bytes = Buffer.alloc(Math.floor((sourcePieces * pieceBytes) / frameBytes) * frameBytes);
	for (let at = 0, n = 0; at < bytes.length; at += frameBytes, n++) {
		const payloadAt = encodeFrameHeader(bytes, at, payloadBytes, broadcast ? FrameLayout.everyone : 1 + (n % clients), 1);
		bytes[payloadAt] = FrameClass.CONTROL;
		bytes.fill(n, payloadAt + 1, payloadAt + payloadBytes);
	}
	return bytes;
}

/** What passes frames on. It may be called again and again with the same bytes. */
export interface Passing {
	/** @returns frames that have left. */
	pass(bytes: Buffer): number;
}

/** Bytes in, bytes out: what a program does that does not look at them. */
export class PlainCopy implements Passing {
	readonly #out = Buffer.alloc(pieceBytes);

	pass(bytes: Buffer): number {
		for (let at = 0; at < bytes.length; at += pieceBytes) bytes.copy(this.#out, 0, at, at + pieceBytes);
		return bytes.length / frameBytes;
	}
}

/** From the TCP connection of a backend to WebSocket clients: reader, pool, lanes, and the view that a WebSocket would send. */
export class ToClients implements Passing, FrameSink {
	readonly #pool = new BufferPool();
	readonly #reader = new FrameReader(this.#pool);
	readonly #lanes: readonly ClientLanes[];
	#sent = 0;

	constructor(clients: number) {
		this.#lanes = Array.from({ length: clients }, () => new ClientLanes({ framesMax: 512 }));
	}

	begin(): FrameDecision {
		return FrameDecision.take;
	}

	end(frame: Frame): boolean {
		const { clientId } = frame;
		if (clientId === FrameLayout.everyone) for (const lanes of this.#lanes) check(lanes.offer(frame));
		else check(this.#lanes[(clientId - 1) % this.#lanes.length]!.offer(frame));
		return true;
	}

	pass(bytes: Buffer): number {
		const before = this.#sent;
		for (let at = 0; at < bytes.length; at += pieceBytes) {
			this.#reader.push(bytes, at, Math.min(at + pieceBytes, bytes.length), this);
			this.#drain();
		}
		if (this.#pool.inUse !== 0) throw new Error(`${this.#pool.inUse} frames were not released`);
		return this.#sent - before;
	}

	#drain(): void {
		for (const lanes of this.#lanes) {
			for (let frame = lanes.next(0); frame !== null; frame = lanes.next(0)) {
				if (frame.message().length !== payloadBytes + FrameLayout.messageHeaderBytes) throw new Error("a message of another length");
				this.#sent++;
				frame.release();
			}
		}
	}
}

/** From WebSocket messages of clients to the TCP connection of a backend: pool, queue, and the copy into what is written at once. */
export class ToBackend implements Passing {
	readonly #pool = new BufferPool();
	readonly #queue = new BackendQueue({ controlFramesMax: 512 });
	readonly #budget = new HeldBudget();
	readonly #out = Buffer.alloc(2 * pieceBytes);

	pass(bytes: Buffer): number {
		let sent = 0;
		for (let at = 0; at < bytes.length; ) {
			const end = Math.min(at + pieceBytes, bytes.length);
			for (; at < end; at += frameBytes) {
				const frame = this.#pool.take(payloadBytes);
				if (frame === null) throw new Error("no buffer");
				frame.fill(bytes, at + FrameLayout.headerBytes);
				frame.seal(1, 1);
				check(this.#queue.offer(frame, this.#budget));
				frame.release();
			}
			let outAt = 0;
			for (let frame = this.#queue.nextControl(); frame !== null; frame = this.#queue.nextControl()) {
				outAt = frame.copyWire(this.#out, outAt);
				frame.release();
				sent++;
			}
		}
		if (this.#pool.inUse !== 0) throw new Error(`${this.#pool.inUse} frames were not released`);
		return sent;
	}
}

/** Nothing may be dropped or held here: a bench that measures less than it says would be wrong. */
function check(offered: string): void {
	if (offered !== "queued") throw new Error(`a frame was ${offered}`);
}

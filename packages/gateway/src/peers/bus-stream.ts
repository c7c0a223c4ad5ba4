import { StreamRecord, StreamStep } from "./stream-record.ts";

/** Bytes that may be on their way in one direction of a stream: sent, and not taken at the other end. */
export const streamWindowBytes = 256 * 1024;

/** Bytes of one stream in a row, before others have their turn. */
const turnBytesMax = 64 * 1024;

/** Where a stream gets what it sends. */
export interface StreamSource {
	/** How many bytes there are, at most `max`. */
	ready(max: number): number;
	/** Writes the next `count` bytes, which `ready` has promised. */
	take(into: Uint8Array, at: number, count: number): void;
}

/** Who gets what comes on a stream. */
export interface StreamSink {
	/** Takes bytes[from … to), which are valid until it returns. False = give no more until `resume`. */
	received(bytes: Buffer, from: number, to: number): boolean;
	/** Bytes of the source have gone. Not called from within `wake`. */
	wrote(): void;
	/** Nobody takes what the source has any more, but what came before the end is still given. */
	deaf(): void;
	/**
	 * Nothing more comes. Orderly: the other end has sent all, and takes what this one still sends until `end`. Otherwise the stream is over, perhaps after
	 * an orderly end of what came. Never from within a call of the stream by this end.
	 */
	ended(isOrderly: boolean): void;
}

export interface StreamEnds {
	readonly source: StreamSource;
	readonly sink: StreamSink;
}

/** The bus, as a stream needs it. */
export interface StreamBus {
	/** Where to write a record with so many bytes, which `commit` publishes; -1 = the ring is full. */
	claim(stream: BusStream, step: StreamStep, amount: number, bytes: number): number;
	commit(): void;
	/** Tells the other end that the stream is broken, as soon as there is room. */
	tellReset(stream: BusStream): void;
	/** This member's ring. */
	readonly u8: Uint8Array;
	readonly dataBytesMax: number;
	/** The stream has something to write. */
	ready(stream: BusStream): void;
	/** Something must be written in this turn. */
	flushNow(stream: BusStream): void;
	/** The stream is over at this end. */
	remove(stream: BusStream): void;
	/** The other end has broken the rules. */
	violated(): void;
}

/** The process at the other end. */
export interface StreamPeer {
	readonly slot: number;
	readonly incarnation: number;
}

/**
 * One end of a stream of bytes to another process: in order, nothing lost, nothing twice. What is sent is written from its source straight into the
 * ring. What comes while the sink takes nothing is kept, so that no stream delays another one.
 *
 * One owner, the gateway's loop. Bound: `streamWindowBytes` each way; more is not sent until the other end has taken some.
 */
export class BusStream {
	readonly number: number;
	/** Whether it was opened by this process. */
	readonly isOpener: boolean;
	readonly peer: StreamPeer;
	/** It waits for its turn. Written only by `StreamList`. */
	isListed = false;
	readonly #bus: StreamBus;
	readonly #ends: StreamEnds;
	/** Bytes that may be sent. */
	#credit = streamWindowBytes;
	/** Bytes that were taken here, and for which no credit was given. */
	#taken = 0;
	/** Bytes that have come and were not taken. */
	#waiting = 0;
	/** They are in [from, from + waiting) of this. */
	#kept: Buffer | null = null;
	#from = 0;
	#isStopped = false;
	#isDelivering = false;
	/** The end is to be written when the source is empty. */
	#mustEnd = false;
	#sentEnd = false;
	/** The other end has sent its end, and the sink knows. */
	#hasEnded = false;
	#toldEnd = false;
	#isClosed = false;

	constructor(bus: StreamBus, peer: StreamPeer, number: number, isOpener: boolean, ends: StreamEnds) {
		this.#bus = bus;
		this.peer = peer;
		this.number = number;
		this.isOpener = isOpener;
		this.#ends = ends;
	}

	/** The source has bytes. They are written at the end of this turn of the loop. */
	wake(): void {
		if (!this.#isClosed && this.#credit > 0) this.#bus.ready(this);
	}

	/** Writes in this turn: much waits. */
	hurry(): void {
		if (!this.#isClosed && this.#credit > 0) this.#bus.flushNow(this);
	}

	/** The sink takes bytes again. */
	resume(): void {
		if (!this.#isStopped || this.#isClosed) return;
		this.#isStopped = false;
		this.#deliver();
	}

	/** Ends it when the source is empty. What comes is still taken, until the other end ends it, too. */
	end(): void {
		if (this.#isClosed || this.#mustEnd) return;
		this.#mustEnd = true;
		this.#bus.ready(this);
	}

	/** Ends it at once. */
	reset(): void {
		if (this.#isClosed) return;
		this.#bus.tellReset(this);
		this.#close();
	}

	/** Only the bus calls this and what follows. @returns "done" if there is nothing more to write now. */
	flush(): "done" | "more" | "full" {
		const { source, sink } = this.#ends;
		const bus = this.#bus;
		if (this.#isClosed) return "done";
		if (!this.#giveCredit()) return "full";
		let wrote = 0;
		let isFull = false;
		while (this.#credit > 0 && wrote < turnBytesMax && !this.#sentEnd) {
			const bytes = source.ready(Math.min(bus.dataBytesMax, this.#credit));
			if (bytes === 0) break;
			const at = bus.claim(this, StreamStep.data, 0, bytes);
			isFull = at < 0;
			if (isFull) break;
			source.take(bus.u8, at, bytes);
			bus.commit();
			this.#credit -= bytes;
			wrote += bytes;
		}
		if (this.#mustEnd && !this.#sentEnd && !isFull && source.ready(1) === 0) {
			isFull = bus.claim(this, StreamStep.end, 0, 0) < 0;
			if (!isFull) {
				bus.commit();
				this.#sentEnd = true;
				if (this.#toldEnd) this.#close();
			}
		}
		if (wrote > 0) sink.wrote();
		if (isFull) return "full";
		return wrote >= turnBytesMax && !this.#isClosed ? "more" : "done";
	}

	receivedData(bytes: Buffer, from: number, to: number): void {
		if (this.#hasEnded || this.#waiting + this.#taken + to - from > streamWindowBytes) {
			this.#violated();
			return;
		}
		this.#waiting += to - from;
		if (this.#isStopped || this.#isDelivering || this.#kept !== null) {
			this.#keep(bytes, from, to);
			return;
		}
		this.#isDelivering = true;
		this.#isStopped = !this.#ends.sink.received(bytes, from, to);
		this.#isDelivering = false;
		this.#took(to - from);
	}

	receivedCredit(bytes: number): void {
		if (this.#credit + bytes > streamWindowBytes) {
			this.#violated();
			return;
		}
		this.#credit += bytes;
		this.#bus.ready(this);
	}

	receivedEnd(): void {
		this.#hasEnded = true;
		this.#endIfAllTaken();
	}

	/** The other end has broken it, or its process has gone. What came before an orderly end is still taken. */
	lost(): void {
		if (this.#isClosed) return;
		if (this.#hasEnded && !this.#toldEnd) {
			this.#sentEnd = true;
			this.#ends.sink.deaf();
			return;
		}
		this.#close();
		this.#ends.sink.ended(false);
	}

	/** @returns false if the ring is full. */
	#giveCredit(): boolean {
		if (this.#taken < streamWindowBytes / 2 || this.#hasEnded) return true;
		if (this.#bus.claim(this, StreamStep.credit, this.#taken, 0) < 0) return false;
		this.#bus.commit();
		this.#taken = 0;
		return true;
	}

	#took(bytes: number): void {
		this.#waiting -= bytes;
		this.#taken += bytes;
		if (this.#taken >= streamWindowBytes / 2 && !this.#isClosed) this.#bus.ready(this);
	}

	#keep(bytes: Buffer, from: number, to: number): void {
		const length = to - from;
		const kept = this.#waiting - length;
		const old = this.#kept;
		let into = old;
		if (into === null || this.#from + kept + length > into.length) {
			if (into === null || kept + length > into.length)
				into = Buffer.allocUnsafeSlow(Math.min(streamWindowBytes, Math.max(StreamRecord.dataBytesMax, 2 * (kept + length))));
			old?.copy(into, 0, this.#from, this.#from + kept);
			this.#from = 0;
			this.#kept = into;
		}
		bytes.copy(into, this.#from + kept, from, to);
	}

	/** Gives the sink what was kept. */
	#deliver(): void {
		if (this.#isDelivering) return;
		this.#isDelivering = true;
		while (this.#kept !== null && !this.#isStopped && !this.#isClosed) {
			const from = this.#from;
			const length = Math.min(this.#waiting, StreamRecord.dataBytesMax);
			this.#isStopped = !this.#ends.sink.received(this.#kept, from, from + length);
			this.#from += length;
			this.#took(length);
			if (this.#waiting > 0) continue;
			this.#kept = null;
			this.#from = 0;
		}
		this.#isDelivering = false;
		this.#endIfAllTaken();
	}

	#endIfAllTaken(): void {
		if (!this.#hasEnded || this.#toldEnd || this.#waiting > 0 || this.#isStopped || this.#isDelivering || this.#isClosed) return;
		this.#toldEnd = true;
		if (this.#sentEnd) this.#close();
		this.#ends.sink.ended(true);
	}

	#violated(): void {
		this.#bus.violated();
		this.reset();
		this.#ends.sink.ended(false);
	}

	#close(): void {
		this.#isClosed = true;
		this.#kept = null;
		this.#bus.remove(this);
	}
}

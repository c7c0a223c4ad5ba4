/** The records of the ring bench: 128 bytes that begin with a sequence number. Every way of passing them on carries and checks the same. */
export const recordBytes = 128;
/** Records that are passed on, or read, at once. */
export const batch = 64;
/** What may be under way between the two threads, in the ring as in the port's queue. */
export const windowBytes = 2 ** 21;

export class RecordSource {
	readonly payload: Uint8Array = new Uint8Array(recordBytes).fill(0x5a);
	readonly #words = new Int32Array(this.payload.buffer);
	#sequence = 0;

	/** Puts the next record into `payload`. */
	next(): Uint8Array {
		this.#words[0] = ++this.#sequence;
		return this.payload;
	}
}

/** Checks that no record is missing and that each is whole: its begin, its middle and its end, a cache line each. */
export class RecordSink {
	count = 0;

	read(view: DataView, start: number, end: number): void {
		if (end - start !== recordBytes || view.getInt32(start, true) !== ++this.count)
			throw new Error(`record ${view.getInt32(start, true)} of ${end - start} bytes came instead of ${this.count}`);
		if (view.getInt32(start + recordBytes / 2, true) !== 0x5a5a5a5a || view.getInt32(end - 4, true) !== 0x5a5a5a5a)
			throw new Error(`record ${this.count} is damaged`);
	}
}

/** What the writing thread writes, over what, and what it shares with the reading one. */
export type RingThreadTask =
	| { readonly kind: "ring"; readonly buffer: SharedArrayBuffer; readonly count: number }
	| { readonly kind: "port"; readonly readBytes: SharedArrayBuffer; readonly count: number; readonly recordsPerMessage: number };

const never = new Int32Array(new SharedArrayBuffer(4));

/** Some tens of microseconds, in which the other side reads or writes hundreds of records. */
export function shortPause(): void {
	Atomics.wait(never, 0, 0, 0.02);
}

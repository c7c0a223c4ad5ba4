import type { RecordKind } from "@shardcast/wire";

/** A missed record, as it is sent to a client. */
export interface MissedRecord {
	/** Offset in the channel: Kafka's offset + 1. */
	readonly offset: number;
	readonly kind: RecordKind;
	readonly data: Uint8Array;
}

const initialBytes = 4096;
const kindOffset = 8;
const lengthOffset = 12;
const padded = (bytes: number): number => (bytes + 7) & -8;

/** Packs records of one channel for the way from the worker to the loop, back to back: `offset f64 | kind u8 | unused | length u32 | payload | pad to 8`. */
export class RecordPack {
	static readonly headBytes = 16;
	#bytes = new Uint8Array(new ArrayBuffer(initialBytes));
	#view = new DataView(this.#bytes.buffer);
	#length = 0;
	count = 0;

	get length(): number {
		return this.#length;
	}

	/** Copies the payload. */
	add(offset: number, kind: RecordKind, payload: Uint8Array): void {
		const at = this.#length;
		this.#reserve(RecordPack.headBytes + padded(payload.length));
		this.#view.setFloat64(at, offset, true);
		this.#view.setUint8(at + kindOffset, kind);
		this.#view.setUint32(at + lengthOffset, payload.length, true);
		this.#bytes.set(payload, at + RecordPack.headBytes);
		this.#length = at + RecordPack.headBytes + padded(payload.length);
		this.count++;
	}

	/** Drops the older half. Returns the Kafka offset from which the pack is complete. */
	dropHalf(): number {
		let at = 0;
		const dropped = this.count >> 1;
		for (let index = 0; index < dropped; index++) at += RecordPack.headBytes + padded(this.#view.getUint32(at + lengthOffset, true));
		const from = this.#view.getFloat64(at, true) - 1;
		this.#bytes.copyWithin(0, at, this.#length);
		this.#length -= at;
		this.count -= dropped;
		return from;
	}

	/** Returns the packed bytes. Add nothing afterwards. */
	take(): ArrayBuffer {
		return this.#bytes.buffer.slice(0, this.#length);
	}

	/** Unpacks `count` records. Their payloads are views of `bytes`. */
	static read(bytes: ArrayBuffer, count: number): MissedRecord[] {
		const view = new DataView(bytes);
		const records: MissedRecord[] = [];
		let at = 0;
		for (let index = 0; index < count; index++) {
			const length = view.getUint32(at + lengthOffset, true);
			const data = new Uint8Array(bytes, at + RecordPack.headBytes, length);
			records.push({ offset: view.getFloat64(at, true), kind: view.getUint8(at + kindOffset) as RecordKind, data });
			at += RecordPack.headBytes + padded(length);
		}
		return records;
	}

	#reserve(bytes: number): void {
		const needed = this.#length + bytes;
		if (needed <= this.#bytes.length) return;
		const larger = new Uint8Array(new ArrayBuffer(Math.max(needed, 2 * this.#bytes.length)));
		larger.set(this.#bytes.subarray(0, this.#length));
		this.#bytes = larger;
		this.#view = new DataView(larger.buffer);
	}
}

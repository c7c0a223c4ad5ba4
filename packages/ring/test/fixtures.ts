import { createRing, type Ring, ringBytes } from "../src/ring.ts";
import { RingReader } from "../src/ring-reader.ts";

interface RingSetup {
	readonly capacityBytes?: number;
	readonly readersMax?: number;
	readonly startPosition?: number;
	/** What the ring lies on: an ArrayBuffer stands for mapped memory. */
	readonly memory?: "SharedArrayBuffer" | "ArrayBuffer";
}

export function newRing(setup: RingSetup = {}): Ring {
	const { capacityBytes = 1024, readersMax = 4, startPosition = 0, memory = "SharedArrayBuffer" } = setup;
	const bytes = ringBytes(capacityBytes, readersMax);
	const buffer = memory === "ArrayBuffer" ? new ArrayBuffer(bytes) : new SharedArrayBuffer(bytes);
	return createRing(buffer, { capacityBytes, readersMax, startPosition });
}

export function joined(ring: Ring, slot = 0): RingReader {
	const reader = new RingReader(ring, slot);
	reader.join();
	return reader;
}

/** `bytes` bytes that differ from record to record and from byte to byte. */
export function payload(n: number, bytes: number): Uint8Array {
	const record = new Uint8Array(bytes);
	for (let at = 0; at < bytes; at++) record[at] = n * 13 + at * 7 + 1;
	return record;
}

/** Throws when it is another record, or a damaged one. In loops, where `expect` on arrays would take most of the time. */
export function checkPayload(record: Uint8Array, n: number, bytes: number): void {
	if (Buffer.compare(record, payload(n, bytes)) !== 0) throw new Error(`not record ${n} of ${bytes} bytes: ${record}`);
}

/** Copies of the next records, at most `max`. */
export function take(reader: RingReader, max = Number.POSITIVE_INFINITY): Uint8Array[] {
	const records: Uint8Array[] = [];
	reader.read(max, (u8, _view, start, end) => {
		records.push(u8.slice(start, end));
	});
	return records;
}

/** Bytes that a record takes in the ring. */
export function recordUnitsBytes(payloadBytes: number): number {
	return 8 + Math.ceil(payloadBytes / 8) * 8;
}

/** From SHARDCAST_TEST_SEED, else random. It stands in the test's name, so a failure tells how to repeat it. */
export const seed: number = Number(process.env.SHARDCAST_TEST_SEED ?? Math.floor(Math.random() * 0x7fffffff));

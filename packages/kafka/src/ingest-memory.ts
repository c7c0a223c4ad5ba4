import { attachRing, createRing, type Ring, RingSignal, ringBytes, signalBytes } from "@shardcast/ring";
import {
	type HostCounter,
	hostCounters,
	type PartitionCell,
	partitionCells,
	type WorkerCounter,
	workerCounters,
} from "./ingest-counters.ts";

/**
 * ```
 *   0  signal: the worker wakes the loop     128  signal: the loop wakes the worker
 * 256  watch: call i32 | paused i32 | row f64 at +8 | offset f64 at +16
 * 384  worker's counters f64                 then the loop's counters f64, on separate lines
 *      cells of the partitions: rowsMax × cells f64
 *      ring
 * ```
 */
const watchOffset = 2 * signalBytes;
const pausedWord = 1;
const countersOffset = watchOffset + 128;
const lineBytes = 128;
const upToLine = (bytes: number): number => Math.ceil(bytes / lineBytes) * lineBytes;
const hostCountersOffset = countersOffset + upToLine(workerCounters.length * 8);
const cellsOffset = hostCountersOffset + upToLine(hostCounters.length * 8);
const cellsPerRow = partitionCells.length;

type Index<Name extends string> = Readonly<Record<Name, number>>;
const indexOf = <N extends string>(table: readonly (readonly [N, string])[]): Index<N> =>
	Object.fromEntries(table.map(([name], index) => [name, index])) as Index<N>;
const workerIndex = indexOf<WorkerCounter>(workerCounters);
const hostIndex = indexOf<HostCounter>(hostCounters);
const cellIndex = indexOf<PartitionCell>(partitionCells);
const { records: recordsWord, bytes: bytesWord, delivered: deliveredWord } = workerIndex;
const { delivered: hostDeliveredWord } = hostIndex;
const { records: recordsCell, bytes: bytesCell, delivered: deliveredCell } = cellIndex;

/** Counters with one writer and any number of readers. */
class CounterBlock<Name extends string> {
	readonly #words: Float64Array;
	readonly #index: Index<Name>;

	constructor(words: Float64Array, index: Index<Name>) {
		this.#words = words;
		this.#index = index;
	}

	add(name: Name, amount = 1): void {
		this.#words[this.#index[name]]! += amount;
	}

	set(name: Name, value: number): void {
		this.#words[this.#index[name]] = value;
	}

	get(name: Name): number {
		return this.#words[this.#index[name]]!;
	}
}

/**
 * The memory that a shard's event loop and its ingest worker share. It belongs to the loop and outlives the worker: after a
 * worker is killed, the loop still reads the records in the ring, and the next worker uses the same memory.
 */
export class IngestMemory {
	readonly buffer: SharedArrayBuffer;
	readonly rowsMax: number;
	readonly ring: Ring;
	/** The loop sleeps on it, the worker wakes it. */
	readonly recordSignal: RingSignal;
	/** The worker sleeps on it, the loop wakes it. */
	readonly roomSignal: RingSignal;
	readonly worker: CounterBlock<WorkerCounter>;
	readonly host: CounterBlock<HostCounter>;
	/** Word 0 is odd while a route function runs; word 1 is 1 while reading must pause. */
	readonly #calls: Int32Array;
	readonly #callOf: Float64Array;
	readonly #cells: Float64Array;
	readonly #workerWords: Float64Array;
	readonly #hostWords: Float64Array;

	private constructor(buffer: SharedArrayBuffer, rowsMax: number, ring: Ring) {
		this.buffer = buffer;
		this.rowsMax = rowsMax;
		this.ring = ring;
		this.recordSignal = new RingSignal(buffer, 0);
		this.roomSignal = new RingSignal(buffer, signalBytes);
		this.#workerWords = new Float64Array(buffer, countersOffset, workerCounters.length);
		this.#hostWords = new Float64Array(buffer, hostCountersOffset, hostCounters.length);
		this.worker = new CounterBlock(this.#workerWords, workerIndex);
		this.host = new CounterBlock(this.#hostWords, hostIndex);
		this.#calls = new Int32Array(buffer, watchOffset, 2);
		this.#callOf = new Float64Array(buffer, watchOffset + 8, 2);
		this.#cells = new Float64Array(buffer, cellsOffset, rowsMax * cellsPerRow);
	}

	static create(rowsMax: number, ringCapacityBytes: number): IngestMemory {
		const ringOffset = cellsOffset + rowsMax * cellsPerRow * 8;
		const buffer = new SharedArrayBuffer(ringOffset + ringBytes(ringCapacityBytes, 1));
		const ring = createRing(buffer, { capacityBytes: ringCapacityBytes, readersMax: 1, byteOffset: ringOffset });
		return new IngestMemory(buffer, rowsMax, ring);
	}

	static attach(buffer: SharedArrayBuffer, rowsMax: number): IngestMemory {
		return new IngestMemory(buffer, rowsMax, attachRing(buffer, cellsOffset + rowsMax * cellsPerRow * 8));
	}

	cell(row: number, name: PartitionCell): number {
		return this.#cells[row * cellsPerRow + cellIndex[name]]!;
	}

	setCell(row: number, name: PartitionCell, value: number): void {
		this.#cells[row * cellsPerRow + cellIndex[name]] = value;
	}

	/** Worker: counts a record. Like `moved` it uses fixed indices: looking counters up by name would double the cost per record. */
	taken(row: number, valueBytes: number): void {
		const at = row * cellsPerRow;
		this.#cells[at + recordsCell]! += 1;
		this.#cells[at + bytesCell]! += valueBytes;
		this.#workerWords[recordsWord]! += 1;
		this.#workerWords[bytesWord]! += valueBytes;
	}

	/** Worker: counts a record handed to the loop. */
	handedOver(): void {
		this.#workerWords[deliveredWord]! += 1;
	}

	/** Loop: counts a delivered record, after which its partition is at `position`. */
	moved(row: number, position: number): void {
		this.#cells[row * cellsPerRow + deliveredCell] = position;
		this.#hostWords[hostDeliveredWord]! += 1;
	}

	/** Worker: call before the route function is called for a record. */
	enterRoute(row: number, offset: number): void {
		this.#callOf[0] = row;
		this.#callOf[1] = offset;
		Atomics.add(this.#calls, 0, 1);
	}

	/** Worker: call when the route function has returned. */
	leaveRoute(): void {
		Atomics.add(this.#calls, 0, 1);
	}

	/** Loop: pauses or resumes reading. */
	setPaused(paused: boolean): void {
		Atomics.store(this.#calls, pausedWord, paused ? 1 : 0);
		this.roomSignal.wake();
	}

	/** Worker: whether to treat the ring as full. */
	get paused(): boolean {
		return Atomics.load(this.#calls, pausedWord) === 1;
	}

	/** Loop: number of the route call in progress, different from that of the call before; null when there is none. */
	routeCall(): number | null {
		const call = Atomics.load(this.#calls, 0);
		return (call & 1) === 1 ? call : null;
	}

	/** Loop: the record of the route call in progress. Reliable only after the worker has been stopped. */
	routedRecord(): { readonly row: number; readonly offset: number } {
		return { row: this.#callOf[0]!, offset: this.#callOf[1]! };
	}

	/** Loop: call when the worker was killed during a route call. */
	forgetRouteCall(): void {
		if (this.routeCall() !== null) Atomics.add(this.#calls, 0, 1);
	}
}

/**
 * The records of the bus benches, 128 bytes each: phase u32 | sequence u32 | published f64, in ms | filling.
 * Every way of passing them on writes and checks the same bytes.
 */
export const recordBytes = 128;
const sequenceOffset = 4;
const publishedOffset = 8;

/** Each record carries the publisher's progress, from which readers compute their lag. */
export const Phase = { warmUp: 0, measured: 1, end: 2 } as const;
export type Phase = (typeof Phase)[keyof typeof Phase];

export interface ReaderResult {
	/** All that came, warm-up and end included. */
	readonly records: number;
	readonly recordsPerSecond: number;
	/** From publication to receipt, of each measured record when they were asked for. */
	readonly latenciesMs: readonly number[];
}

/** The clock of publications, the same in every process. Slower than `performance.now()`, whose origins differ by what a process was held up. */
export function clockMs(): number {
	return Number(process.hrtime.bigint()) / 1e6;
}

const filling = new Uint8Array(recordBytes).fill(0x5a);

export class RecordSource {
	#sequence = 0;

	/** Writes the next record at `at`. */
	write(u8: Uint8Array, view: DataView, at: number, phase: Phase, publishedMs: number): void {
		u8.set(filling, at);
		view.setUint32(at, phase, true);
		view.setUint32(at + sequenceOffset, ++this.#sequence, true);
		view.setFloat64(at + publishedOffset, publishedMs, true);
	}
}

/** Checks that no record is missing, and measures. */
export class RecordSink {
	readonly #withLatencies: boolean;
	#sequence = 0;
	#firstSequence = 0;
	#firstMs = 0;
	readonly #latenciesMs: number[] = [];
	result: ReaderResult | null = null;

	constructor(withLatencies: boolean) {
		this.#withLatencies = withLatencies;
	}

	read(view: DataView, at: number): void {
		const sequence = view.getUint32(at + sequenceOffset, true);
		if (sequence !== ++this.#sequence) throw new Error(`record ${sequence} came instead of ${this.#sequence}`);
		const phase = view.getUint32(at, true);
		if (phase === Phase.warmUp) return;
		if (phase === Phase.measured) {
			if (this.#firstSequence === 0) {
				this.#firstSequence = sequence;
				this.#firstMs = performance.now();
			}
			if (this.#withLatencies) this.#latenciesMs.push(clockMs() - view.getFloat64(at + publishedOffset, true));
			return;
		}
		this.result ??= {
			records: sequence,
			recordsPerSecond: (sequence - this.#firstSequence) / ((performance.now() - this.#firstMs) / 1000),
			latenciesMs: this.#latenciesMs,
		};
	}
}

/** How a publisher publishes: as fast as it is taken for a time, or one record now and then. */
export type Pace = Flood | Ticks;

interface Flood {
	readonly kind: "flood";
	readonly warmUpMs: number;
	readonly measuredMs: number;
	/** Records that are passed on at once. */
	readonly batch: number;
}

interface Ticks {
	readonly kind: "ticks";
	readonly warmUp: number;
	readonly measured: number;
	/** Mean of the pauses; they vary by half of it. */
	readonly everyMs: number;
}

/** Where a publisher publishes to. */
export interface Publisher {
	/** Publishes `count` records and says how many were taken. */
	publish(count: number, phase: Phase): number;
	/** Calls back when more may be taken. */
	whenFree(callback: () => void): void;
}

/** Publishes at `pace` and ends. */
export function publishAt(pace: Pace, publisher: Publisher): Promise<void> {
	return new Promise((resolve) => {
		if (pace.kind === "flood") flood(pace, publisher, resolve);
		else tick(pace, publisher, resolve, 1);
	});
}

/** Batches between two turns of the event loop. */
const batchesPerTurn = 64;

function flood(pace: Flood, publisher: Publisher, done: () => void): void {
	const measureMs = performance.now() + pace.warmUpMs;
	const endMs = measureMs + pace.measuredMs;
	const turn = (): void => {
		for (let batches = 0; batches < batchesPerTurn; batches++) {
			const nowMs = performance.now();
			const phase = nowMs < measureMs ? Phase.warmUp : nowMs < endMs ? Phase.measured : Phase.end;
			const count = phase === Phase.end ? 1 : pace.batch;
			if (publisher.publish(count, phase) < count) {
				publisher.whenFree(turn);
				return;
			}
			if (phase === Phase.end) {
				done();
				return;
			}
		}
		setImmediate(turn);
	};
	turn();
}

function tick(pace: Ticks, publisher: Publisher, done: () => void, number: number): void {
	const phase = number <= pace.warmUp ? Phase.warmUp : number <= pace.warmUp + pace.measured ? Phase.measured : Phase.end;
	publisher.publish(1, phase);
	if (phase === Phase.end) done();
	else setTimeout(() => tick(pace, publisher, done, number + 1), pace.everyMs * (0.5 + Math.random()));
}

import type { FetchedPartition } from "../protocol/fetch-protocol.ts";
import { CorruptBatch, RecordReader } from "../protocol/record-reader.ts";
import type { SourceSink } from "../source.ts";
import type { PartitionState } from "./partition-state.ts";

/** Pause before retrying a batch that can neither be read nor skipped. */
const corruptRetryMs = 5000;

/** Offers the records of a partition to the sink, in order. **One per loop that offers: it holds one answer at a time.** */
export class PartitionOffer {
	readonly #sink: SourceSink;
	readonly #stopping: () => boolean;
	readonly #reader = new RecordReader();

	constructor(sink: SourceSink, stopping: () => boolean) {
		this.#sink = sink;
		this.#stopping = stopping;
	}

	/**
	 * Resolves when all records are taken, or when the partition was revoked or rewound. Skips records before its position.
	 * @throws CorruptBatch if the records come from another node. Those before that batch were taken.
	 */
	async offer(state: PartitionState, part: Pick<FetchedPartition, "records" | "aborted">): Promise<void> {
		const reader = this.#reader;
		const sink = this.#sink;
		const from = state.position;
		const { generation } = state;
		const isVoid = () => !state.live || state.generation !== generation || this.#stopping();
		reader.reset(part.records, from, part.aborted);
		for (;;) {
			try {
				if (!reader.next()) break;
			} catch (error) {
				// Of a batch from another node, what the broker says counts.
				if (!(error instanceof CorruptBatch) || state.followed) throw error;
				const where = { topic: state.topic, partition: state.partition, offset: error.offset };
				sink.trouble("corrupt", error.message, where);
				continue;
			}
			for (;;) {
				if (isVoid()) return;
				const taken = sink.take(state, reader);
				if (taken === true || (taken !== false && (await state.whileTaking(taken)))) break;
				await sink.room();
			}
			state.advance(reader.nextOffset, reader.leaderEpoch);
		}
		if (reader.nextOffset > state.position) state.advance(reader.nextOffset, reader.leaderEpoch);
		if (state.noteEpoch()) sink.epoch(state, state.epoch, state.position);
		if (state.position === from && part.records.length > 0) {
			// No batch could be read or skipped: do not ask again at once.
			state.retryAtMs = performance.now() + corruptRetryMs;
		}
		while (!isVoid() && !sink.offered(state, state.position)) await sink.room();
	}
}

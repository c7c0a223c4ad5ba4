import type { FetchAnswers } from "../protocol/fetch-answers.ts";
import {
	type Divergence,
	type FetchedPartition,
	type FetchLimits,
	type FetchTarget,
	fetchRequest,
	supportsFetchById,
} from "../protocol/fetch-protocol.ts";
import { lastBatchOf } from "../protocol/record-reader.ts";
import type { SourceSink } from "../source.ts";
import type { KafkajsCluster } from "./kafkajs-cluster.ts";
import { PartitionOffer } from "./partition-offer.ts";
import { type PartitionState, partitionKey } from "./partition-state.ts";

/** The source that owns a fetcher. */
export interface FetcherOwner {
	/** Live partitions to fetch from this broker. */
	partitionsOf(nodeId: string): PartitionState[];
	/** Handles an error of one partition. The fetch loop continues when it has resolved, perhaps with other partitions. */
	partitionTrouble(state: PartitionState, errorCode: number): Promise<void>;
	/** Handles a divergence: records were read that this leader does not have. */
	partitionDiverged(state: PartitionState, divergence: Divergence): Promise<void>;
	/** The leader has answered, and its log has everything that was read before. */
	fetched(state: PartitionState, asked: FetchTarget): void;
	/** All records of this answer were taken. */
	taken(state: PartitionState, asked: FetchTarget, part: FetchedPartition): void;
	stopping(): boolean;
}

/** An answer with the requested partitions and the generation of each at that time: see `PartitionState.rewind`. */
interface Answer {
	readonly asked: ReadonlyMap<string, { readonly state: PartitionState; readonly generation: number; readonly target: FetchTarget }>;
	readonly fetched: readonly FetchedPartition[];
	/** Call when `fetched` is no longer used. */
	release(): void;
}

const nothing: Answer = { asked: new Map(), fetched: [], release: () => {} };

/**
 * Reads from one broker. While it offers one answer to the sink, the next fetch is in progress, so at most two answers
 * (`limits.bytesMax` each) are in memory. While the sink has no room, the loop waits in `sink.room()` and sends no further fetch:
 * the consumer is paused.
 */
export class NodeFetcher {
	readonly #nodeId: string;
	readonly #cluster: KafkajsCluster;
	readonly #answers: FetchAnswers;
	readonly #owner: FetcherOwner;
	readonly #sink: SourceSink;
	readonly #limits: FetchLimits;
	readonly #offers: PartitionOffer;
	#turn = 0;

	constructor(nodeId: string, cluster: KafkajsCluster, answers: FetchAnswers, owner: FetcherOwner, sink: SourceSink, limits: FetchLimits) {
		this.#nodeId = nodeId;
		this.#cluster = cluster;
		this.#answers = answers;
		this.#owner = owner;
		this.#sink = sink;
		this.#limits = limits;
		this.#offers = new PartitionOffer(sink, () => owner.stopping());
	}

	/** Resolves when this node no longer leads an assigned partition; rejects when it cannot be reached. */
	async run(): Promise<void> {
		let ahead = this.#fetch();
		try {
			for (;;) {
				const answer = await ahead;
				if (answer === null || this.#owner.stopping()) return;
				ahead = this.#fetch();
				// The error is thrown where `ahead` is awaited. Without this, a failure during `offer` would be an unhandled rejection.
				ahead.catch(() => undefined);
				await this.#offer(answer);
				answer.release();
			}
		} finally {
			await ahead.catch(() => undefined);
			for (const state of this.#owner.partitionsOf(this.#nodeId)) state.rewind();
		}
	}

	/** Null when this node leads no assigned partition. */
	async #fetch(): Promise<Answer | null> {
		const now = performance.now();
		const all = this.#owner.partitionsOf(this.#nodeId);
		// After a change of leader, a partition waits until the old leader's fetcher has released it.
		const ready = all.filter((state) => state.retryAtMs <= now && (state.offeredBy ?? this.#nodeId) === this.#nodeId);
		if (all.length === 0) return null;
		if (ready.length === 0) {
			await new Promise((resolve) => setTimeout(resolve, this.#limits.waitMsMax));
			return nothing;
		}
		const asked = new Map(ready.map((state) => [state.key, { state, generation: state.generation, target: state.target }]));
		const broker = await this.#cluster.findBroker({ nodeId: this.#nodeId });
		// The broker fills the answer in the order of the request. Rotating it keeps a busy partition from starving the others.
		this.#turn = (this.#turn + 1) % ready.length;
		const rotated = [...ready.slice(this.#turn), ...ready.slice(0, this.#turn)];
		const targets = rotated.map(({ key }) => asked.get(key)!.target);
		const request = fetchRequest(targets, this.#limits, supportsFetchById(broker.versions));
		const { answer: fetched, release } = await this.#answers.send(broker.connectionPool, request);
		for (const part of fetched) {
			const of = asked.get(partitionKey(part));
			if (of === undefined || of.state.generation !== of.generation) continue;
			// Reported before the records are offered, so that the lag is correct even while they wait for room.
			if (part.errorCode === 0) this.#sink.logEnds(of.state, part.logEnd);
			if (part.errorCode === 0 && part.divergence === null) this.#owner.fetched(of.state, of.target);
			const last = lastBatchOf(part.records);
			if (last !== null) of.state.fetchFrom(last.nextOffset, last.leaderEpoch);
		}
		return { asked, fetched, release };
	}

	async #offer(answer: Answer): Promise<void> {
		for (const part of answer.fetched) {
			const of = answer.asked.get(partitionKey(part));
			if (of === undefined || !of.state.live || of.state.generation !== of.generation) continue;
			of.state.offeredBy = this.#nodeId;
			try {
				if (part.errorCode !== 0) await this.#owner.partitionTrouble(of.state, part.errorCode);
				else if (part.divergence !== null) await this.#owner.partitionDiverged(of.state, part.divergence);
				else {
					await this.#offers.offer(of.state, part);
					const isTaken = of.state.live && of.state.generation === of.generation && !this.#owner.stopping();
					if (isTaken) this.#owner.taken(of.state, of.target, part);
				}
			} finally {
				of.state.letGo();
			}
		}
	}
}

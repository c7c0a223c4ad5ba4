import { waitFor } from "@shardcast/testkit";
import { describe, expect, it } from "vitest";
import type { KafkajsCluster } from "../../src/client/kafkajs-cluster.ts";
import { type FetcherOwner, NodeFetcher } from "../../src/client/node-fetcher.ts";
import { PartitionState } from "../../src/client/partition-state.ts";
import type { FetchAnswers } from "../../src/protocol/fetch-answers.ts";
import type { FetchedPartition } from "../../src/protocol/fetch-protocol.ts";
import type { SourceSink } from "../../src/source.ts";
import { batchOf } from "../support/record-batches.ts";

/** Two brokers with the same log of `logEnd` records; each answers with what comes behind `asked`, ten at a time. */
class FakeBrokers {
	readonly state = new PartitionState({ row: 0, topic: "t", topicId: null, partition: 0, offset: 0, epoch: -1 });
	readonly taken: number[] = [];
	readonly #logEnd: number;
	hasRoom = false;
	stopping = false;
	fetches: string[] = [];
	/** Answers that have arrived. */
	answers = 0;
	/** By node: how often its fetcher has looked for something to read. */
	readonly looks = new Map<string, number>();
	#roomFor: (() => void)[] = [];

	constructor(logEnd: number) {
		this.#logEnd = logEnd;
	}

	readonly owner: FetcherOwner = {
		partitionsOf: (nodeId) => {
			this.looks.set(nodeId, (this.looks.get(nodeId) ?? 0) + 1);
			return this.state.leader === nodeId ? [this.state] : [];
		},
		partitionTrouble: async () => {},
		partitionDiverged: async () => {},
		fetched: () => {},
		taken: () => {},
		stopping: () => this.stopping,
	};

	readonly sink = {
		take: (_partition: unknown, record: { offset: number }) => {
			if (!this.hasRoom) return false;
			this.taken.push(record.offset);
			return true;
		},
		room: () => new Promise<void>((resolve) => this.#roomFor.push(resolve)),
		logEnds: () => {},
		offered: () => true,
		epoch: () => {},
	} as unknown as SourceSink;

	readonly cluster = {
		findBroker: async ({ nodeId }: { nodeId: string }) => ({
			versions: null,
			connectionPool: {
				send: async (): Promise<FetchedPartition[]> => {
					const offset = this.state.fetchOffset;
					this.fetches.push(`${nodeId}:${offset}`);
					await new Promise((resolve) => setTimeout(resolve, 2));
					this.answers++;
					const records = offset < this.#logEnd ? batchOf(offset, Array(Math.min(10, this.#logEnd - offset)).fill("x")) : Buffer.alloc(0);
					const common = { topic: "t", topicId: null, partition: 0, errorCode: 0, logStart: 0, aborted: [], divergence: null };
					return [{ ...common, logEnd: this.#logEnd, records }];
				},
			},
		}),
	} as unknown as KafkajsCluster;

	makeRoom(): void {
		this.hasRoom = true;
		for (const resolve of this.#roomFor.splice(0)) resolve();
	}

	fetcher(nodeId: string): Promise<void> {
		const limits = { waitMsMax: 5, bytesMax: 1000, partitionBytesMax: 1000 };
		const answers = {
			send: async (connections: { send(request: unknown): Promise<unknown> }, request: unknown) => ({
				answer: await connections.send(request),
				release: () => {},
			}),
		} as unknown as FetchAnswers;
		return new NodeFetcher(nodeId, this.cluster, answers, this.owner, this.sink, limits).run();
	}
}

describe("NodeFetcher", () => {
	it("a partition whose leader moves while its records wait for room is read on without a gap, an overlap or a change of order", async () => {
		const brokers = new FakeBrokers(60);
		brokers.state.ledBy("1");
		const first = brokers.fetcher("1");
		// One answer waits for room, the next one is there already.
		await waitFor(() => brokers.answers >= 2, { deadlineMs: 5000, what: "two answers" });
		brokers.state.ledBy("2");
		const second = brokers.fetcher("2");
		await waitFor(() => brokers.looks.get("2")! >= 3, { deadlineMs: 5000, what: "the new leader's fetcher to look in vain" });
		brokers.makeRoom();
		await waitFor(() => brokers.state.position >= 60, { deadlineMs: 5000, what: "the end" });
		await first;
		brokers.stopping = true;
		await second;
		expect(brokers.taken).toEqual(Array.from({ length: 60 }, (_, offset) => offset));
	});
});

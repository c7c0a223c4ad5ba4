import type { MessagePort } from "node:worker_threads";
import { isDirect } from "@shardcast/wire";
import { rootCause } from "../client/kafkajs-cluster.ts";
import type { IngestMemory } from "../ingest-memory.ts";
import type { SourceRecord } from "../source.ts";
import type { RecordRouter } from "../worker/record-router.ts";
import type { Reporter } from "../worker/reporter.ts";
import type { HistoryError, HistoryPart, HistoryRequest } from "./history-messages.ts";
import { RangeGone, type RangeReader } from "./range-reader.ts";
import { RecordPack } from "./record-pack.ts";

interface HistoryReadsParts {
	/** Called by each read. Creates the reader on first use: most workers never need one. */
	readonly reader: () => Pick<RangeReader, "read">;
	readonly router: Pick<RecordRouter, "decide" | "type" | "channels" | "kind" | "payload">;
	readonly memory: Pick<IngestMemory, "worker">;
	readonly reporter: Pick<Reporter, "warn">;
	readonly port: Pick<MessagePort, "postMessage">;
}

interface Wanted {
	from: number;
	readonly pack: RecordPack;
}

/** Reads missed records on the worker: routes the records of a range again and packs those of the requested channels. */
export class HistoryReads {
	readonly #parts: HistoryReadsParts;

	constructor(parts: HistoryReadsParts) {
		this.#parts = parts;
	}

	/** Always posts exactly one answer, after `timeoutMs` at the latest. Never rejects. */
	async read(request: HistoryRequest): Promise<void> {
		const { port, memory } = this.#parts;
		memory.worker.add("historyReads");
		const packs = new Map(request.channels.map(({ name, from }): [string, Wanted] => [name, { from, pack: new RecordPack() }]));
		let isOver = false;
		let timer: NodeJS.Timeout | undefined;
		const late = new Promise<HistoryError>((resolve) => {
			timer = setTimeout(() => resolve("late"), request.timeoutMs);
		});
		const error = await Promise.race([this.#read(request, packs, () => isOver), late]);
		clearTimeout(timer);
		isOver = true;
		if (error !== null) memory.worker.add("historyReadsFailed");
		const parts =
			error !== null
				? []
				: [...packs].map(([name, { from, pack }]): HistoryPart => ({ name, from, count: pack.count, bytes: pack.take() }));
		for (const { count } of parts) memory.worker.add("historyRecords", count);
		port.postMessage(
			{ type: "history", id: request.id, parts, error },
			parts.map(({ bytes }) => bytes),
		);
	}

	async #read(request: HistoryRequest, packs: ReadonlyMap<string, Wanted>, isOver: () => boolean): Promise<HistoryError | null> {
		const { router, reader, reporter } = this.#parts;
		const { partition, from, to, recordsMax, bytesMax } = request;
		const take = (record: SourceRecord): void => {
			// It has a user in the place of a channel.
			if (isDirect(router.type)) return;
			for (const name of router.channels.names) {
				const wanted = packs.get(name);
				if (wanted === undefined || record.offset < wanted.from) continue;
				const { pack } = wanted;
				pack.add(record.offset + 1, router.kind, router.payload);
				// A part is no use to a client that has missed this much, but is to the others.
				if (pack.count >= 2 * recordsMax || pack.length > bytesMax) wanted.from = pack.dropHalf();
			}
		};
		try {
			await reader().read(
				{ ...partition, from, to },
				(record) => {
					const decided = router.decide(partition, record, (refusal) => {
						if (refusal === null && !isOver()) take(record);
						return true;
					});
					return decided instanceof Promise ? decided.then(() => {}) : undefined;
				},
				isOver,
			);
			return null;
		} catch (error) {
			const where = { topic: partition.topic, partition: partition.partition, offset: from };
			reporter.warn("historyRead", `cannot read the records that clients have missed: ${rootCause(error).message}`, where);
			return error instanceof RangeGone ? "gone" : "unavailable";
		}
	}
}

import type { MessagePort } from "node:worker_threads";
import { channelList, everybody, RecordKind, RecordType } from "@shardcast/wire";
import { expect, it } from "vitest";
import type { HistoryPart } from "../../src/history/history-messages.ts";
import { HistoryReads } from "../../src/history/history-reads.ts";
import { RecordPack } from "../../src/history/record-pack.ts";
import type { SourceRecord } from "../../src/source.ts";
import type { RouteCallback } from "../../src/worker/record-router.ts";

it("a client that returns to a channel does not get the messages to a user with the same name", async () => {
	const partition = { row: 0, topic: "t", topicId: "id", partition: 0 };
	const types = [RecordType.publication, RecordType.direct, RecordType.urgent, RecordType.urgentDirect];
	const router = {
		...{ type: RecordType.publication as RecordType, kind: RecordKind.text, channels: everybody, payload: new Uint8Array(0) },
		decide(of: typeof partition, record: SourceRecord, decided: RouteCallback) {
			router.type = types[record.offset]!;
			router.channels = channelList(["ann"]);
			router.payload = Buffer.from(`${record.offset}`);
			return decided(null, of, record);
		},
	};
	const answers: { parts: readonly HistoryPart[] }[] = [];
	const reads = new HistoryReads({
		reader: () => ({
			read: async (_range, visit) => {
				for (let offset = 0; offset < types.length; offset++) await visit({ offset } as SourceRecord);
			},
		}),
		router,
		memory: { worker: { add: () => {} } as never },
		reporter: { warn: () => {} },
		port: { postMessage: (answer: never) => void answers.push(answer) } as unknown as MessagePort,
	});
	const limits = { recordsMax: 10, bytesMax: 1000, timeoutMs: 1000 };
	await reads.read({ id: 1, partition, from: 0, to: 4, channels: [{ name: "ann", from: 0 }], ...limits });
	const [part] = answers[0]!.parts;
	expect(RecordPack.read(part!.bytes, part!.count).map(({ offset }) => offset)).toEqual([1, 3]);
});

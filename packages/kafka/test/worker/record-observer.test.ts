import { Extension } from "@shardcast/wire";
import { describe, expect, it } from "vitest";
import type { FromWorker } from "../../src/ingest-messages.ts";
import type { SourceRecord } from "../../src/source.ts";
import { RecordObserver } from "../../src/worker/record-observer.ts";

const partition = { row: 0, topic: "t", topicId: null, partition: 0 };
const recordOf = (timestampMs: number) => ({ offset: 7, timestampMs, eachHeader: () => {} }) as unknown as SourceRecord;

/** What is noted of a record with this time stamp: the wait that goes along with it, and the one of its span; undefined = none. */
function noted(timestampMs: number): { readonly queuedMs: number | undefined; readonly spanMs: unknown } {
	const sent: FromWorker[] = [];
	const observer = new RecordObserver(
		(message) => sent.push(message),
		() => 0,
	);
	observer.observe({ traceSample: 1, waits: true });
	const bytes = observer.extensions(partition, recordOf(timestampMs), ["news"], 1);
	observer.flush();
	const [message] = sent;
	if (message?.type !== "spans") throw new Error("no spans were sent");
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
	let queuedMs: number | undefined;
	for (let at = 0; at < bytes.length; at += Extension.valueOffset + view.getUint16(at + Extension.lengthOffset, true))
		if (bytes[at + Extension.typeOffset] === Extension.types.queued) queuedMs = view.getFloat64(at + Extension.valueOffset, true);
	return { queuedMs, spanMs: message.spans[0]!.attributes["shardcast.kafka_wait_ms"] };
}

describe("what is noted of a record's wait in Kafka", () => {
	it("is the time since its time stamp", () => {
		const { queuedMs, spanMs } = noted(Date.now() - 60_000);
		expect(queuedMs).toBeGreaterThanOrEqual(59_000);
		expect(spanMs).toBe(Math.round(queuedMs!));
	});

	it("is 0 if the producer's clock is ahead", () => {
		expect(noted(Date.now() + 60_000)).toEqual({ queuedMs: 0, spanMs: 0 });
	});

	it("is nothing for a record without a time stamp, instead of the time since 1970", () => {
		expect(noted(-1)).toEqual({ queuedMs: undefined, spanMs: undefined });
	});
});

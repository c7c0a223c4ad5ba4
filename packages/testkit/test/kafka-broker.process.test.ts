// @module-tag long
import { existsSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { KafkaBroker } from "../src/kafka/broker.ts";
import { connectKafka } from "../src/kafka/client.ts";
import { kafkaForTests } from "../src/kafka/for-tests.ts";

describe.skipIf(!(await kafkaForTests()))("a broker for tests", () => {
	it("keeps its log over a kill and leaves nothing behind, nor what a killed run has left", async () => {
		const leftover = mkdtempSync(join(tmpdir(), "shardcast-kafka-1-1-"));
		const broker = await KafkaBroker.run();
		try {
			const first = await connectKafka(broker.brokers);
			await first.createTopic("kept", 2);
			await first.producer.send({ topic: "kept", messages: [{ value: "one", partition: 1 }] });
			await first.close();
			await broker.kill();
			await broker.start();
			const second = await connectKafka(broker.brokers);
			const offsets = await second.admin.fetchTopicOffsets("kept");
			await second.close();
			expect(offsets.find((of) => of.partition === 1)?.high).toBe("1");
		} finally {
			await broker.remove();
		}
		expect(existsSync(broker.directory)).toBe(false);
		expect(existsSync(leftover)).toBe(false);
	});
});

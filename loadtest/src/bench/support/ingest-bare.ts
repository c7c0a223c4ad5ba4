import { monitorEventLoopDelay } from "node:perf_hooks";
import { Kafka, logLevel } from "kafkajs";

/** The measure of the ingest bench: a bare kafkajs consumer that does nothing but count. Prints one line of JSON. */
const [brokers, topic, total] = process.argv.slice(2);
const lag = monitorEventLoopDelay({ resolution: 5 });
const kafka = new Kafka({ brokers: [brokers], logLevel: logLevel.NOTHING });
const consumer = kafka.consumer({ groupId: `bare-${process.pid}-${Date.now()}`, maxWaitTimeInMs: 100 });
await consumer.connect();
await consumer.subscribe({ topics: [topic], fromBeginning: true });

let records = 0;
let beganMs = 0;
let first = 0;
const endedMs = await new Promise<number>((resolve) => {
	void consumer.run({
		eachBatch: async ({ batch }) => {
			records += batch.messages.length;
			if (beganMs === 0) {
				beganMs = performance.now();
				first = records;
				lag.enable();
			}
			if (records >= Number(total)) resolve(performance.now());
		},
	});
});
lag.disable();
const recordsPerSecond = ((records - first) * 1000) / (endedMs - beganMs);
process.stdout.write(`${JSON.stringify({ recordsPerSecond, loopLagP99Ms: lag.percentile(99) / 1e6 - 5 })}\n`);
await consumer.disconnect();
// Whoever started it has read the line, and ends it.
setInterval(() => {}, 60_000);

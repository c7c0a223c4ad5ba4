import { parseArgs } from "node:util";
import { connectKafka } from "@shardcast/testkit/kafka";
import { Market } from "./market.ts";

/**
 * `npm run demo:market`: a made-up exchange that writes trades and quotes to Kafka until it is interrupted. Key = symbol, topic = kind
 * of event, so that a cluster started with `--kafka-channel {key}.{topic}` has channels such as BTC.trade.
 */
const topics = ["trade", "quote"];
const partitions = 4;
const tickMs = 20;

const usage = `usage: npm run demo:market -- [--kafka-brokers 127.0.0.1:9092] [--rate 200] [--seconds 0]
  --rate     events per second, at most 100000
  --seconds  how long, 0 = until Ctrl-C`;

function flags() {
	try {
		return parseArgs({
			options: {
				"kafka-brokers": { type: "string", default: "127.0.0.1:9092" },
				rate: { type: "string", default: "200" },
				seconds: { type: "string", default: "0" },
				help: { type: "boolean", default: false },
			},
		}).values;
	} catch (error) {
		console.error(`demo:market: ${(error as Error).message}\n${usage}`);
		process.exit(2);
	}
}

const values = flags();
if (values.help) {
	console.log(usage);
	process.exit(0);
}
const rate = Number(values.rate);
const seconds = Number(values.seconds);
if (!(rate > 0 && rate <= 100_000) || !(seconds >= 0)) {
	console.error(`demo:market: --rate must be from 1 to 100000 and --seconds 0 or more\n${usage}`);
	process.exit(2);
}

let running = true;
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => (running = false));

const brokers = values["kafka-brokers"];
const client = await connectKafka(brokers).catch((error: Error) => {
	console.error(
		`demo:market: no Kafka at ${brokers} (${error.message}); start one with npm run kafka:up, or name another with --kafka-brokers`,
	);
	process.exit(1);
});
const there = await client.admin.listTopics();
for (const topic of topics) if (!there.includes(topic)) await client.createTopic(topic, partitions);

console.log(`${rate} events/s to ${brokers}, topics ${topics.join(" and ")}; Ctrl-C ends it. To see them:`);
console.log(
	`  npm start -- --kafka-brokers ${brokers} --kafka-topics ${topics.join(",")} --kafka-channel '{key}.{topic}' --kafka-format json`,
);
console.log("  npx wscat -c 'ws://127.0.0.1:3005/?channels=BTC.trade'");

const market = new Market(Math.random);
const beganMs = performance.now();
let written = 0;
while (running && (seconds === 0 || performance.now() - beganMs < seconds * 1000)) {
	const due = Math.floor(((performance.now() - beganMs) * rate) / 1000) - written;
	if (due > 0) {
		const events = Array.from({ length: Math.min(due, 10_000) }, () => market.next(Date.now()));
		const topicMessages = topics.map((topic) => ({
			topic,
			messages: events.filter((event) => event.kind === topic).map(({ symbol, data }) => ({ key: symbol, value: JSON.stringify(data) })),
		}));
		await client.producer.sendBatch({ acks: -1, topicMessages: topicMessages.filter(({ messages }) => messages.length > 0) });
		written += events.length;
	}
	await new Promise((resolve) => setTimeout(resolve, tickMs));
}
console.log(`${written} events in ${((performance.now() - beganMs) / 1000).toFixed(1)} s`);
await client.close();

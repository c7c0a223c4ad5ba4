// An invented market that writes trades and quotes to Kafka until you stop it. Key = symbol, topic = kind of event, so that a
// cluster started with `--kafka-channel {key}.{topic}` has channels such as BTC.trade.
//   npm run demo:market -- [--kafka-brokers 127.0.0.1:9092] [--rate 200] [--seconds 0]
import { parseArgs } from "node:util";
import { Kafka, logLevel } from "kafkajs";

const topics = ["trade", "quote"];
const tickMs = 20;
const usage = `usage: npm run demo:market -- [--kafka-brokers 127.0.0.1:9092] [--rate 200] [--seconds 0]
  --rate     events per second, at most 100000
  --seconds  how long, 0 = until Ctrl-C`;

/** Prices to begin with, and how much of the trading each symbol has. */
const symbols = [
	{ symbol: "BTC", price: 64_000, share: 0.4, sequence: 0 },
	{ symbol: "ETH", price: 3200, share: 0.25, sequence: 0 },
	{ symbol: "SOL", price: 150, share: 0.15, sequence: 0 },
	{ symbol: "XRP", price: 0.55, share: 0.1, sequence: 0 },
	{ symbol: "ADA", price: 0.45, share: 0.06, sequence: 0 },
	{ symbol: "DOGE", price: 0.12, share: 0.04, sequence: 0 },
];

/** Prices walk at random; a quote lies around the price, a trade on either side of it. Numbered per symbol, so that gaps show. */
function nextEvent() {
	let left = Math.random();
	const of =
		symbols.find(({ share }) => {
			left -= share;
			return left < 0;
		}) ?? symbols[0];
	of.price *= Math.exp((Math.random() + Math.random() - 1) * 0.0004);
	of.sequence++;
	const rounded = (value) => Number(value.toPrecision(6));
	const [bid, ask] = [rounded(of.price * 0.9999), rounded(of.price * 1.0001)];
	const common = { symbol: of.symbol, sequence: of.sequence, time: Date.now() };
	if (Math.random() >= 0.3) return { topic: "quote", key: of.symbol, data: { ...common, bid, ask } };
	const side = Math.random() < 0.5 ? "buy" : "sell";
	// Many small trades, few large ones.
	const size = rounded((1000 / of.price) * -Math.log(1 - Math.random()));
	return { topic: "trade", key: of.symbol, data: { ...common, side, price: side === "buy" ? ask : bid, size } };
}

function stopWith(status, text) {
	(status === 0 ? console.log : console.error)(text);
	process.exit(status);
}

function flags() {
	const options = {
		"kafka-brokers": { type: "string", default: "127.0.0.1:9092" },
		rate: { type: "string", default: "200" },
		seconds: { type: "string", default: "0" },
		help: { type: "boolean", default: false },
	};
	try {
		return parseArgs({ options }).values;
	} catch (error) {
		return stopWith(2, `demo:market: ${error.message}\n${usage}`);
	}
}

const values = flags();
if (values.help) stopWith(0, usage);
const [rate, seconds, brokers] = [Number(values.rate), Number(values.seconds), values["kafka-brokers"]];
if (!(rate > 0 && rate <= 100_000) || !(seconds >= 0))
	stopWith(2, `demo:market: --rate must be from 1 to 100000 and --seconds 0 or more\n${usage}`);

process.env.KAFKAJS_NO_PARTITIONER_WARNING = "1";
const retry = { retries: 10, maxRetryTime: 1000 };
const kafka = new Kafka({ clientId: "demo-market", brokers: brokers.split(","), logLevel: logLevel.NOTHING, retry });
const [admin, producer] = [kafka.admin(), kafka.producer({ idempotent: true, maxInFlightRequests: 1 })];
try {
	await Promise.all([admin.connect(), producer.connect()]);
	const there = await admin.listTopics();
	const missing = topics.filter((topic) => !there.includes(topic));
	await admin.createTopics({ waitForLeaders: true, topics: missing.map((topic) => ({ topic, numPartitions: 4 })) });
} catch (error) {
	stopWith(
		1,
		`demo:market: no Kafka at ${brokers} (${error.message}); start one with npm run kafka:up, or name another with --kafka-brokers`,
	);
}

console.log(`${rate} events/s to ${brokers}, topics ${topics.join(" and ")}; Ctrl-C ends it. To see them:`);
console.log(
	`  npm start -- --kafka-brokers ${brokers} --kafka-topics ${topics.join(",")} --kafka-channel '{key}.{topic}' --kafka-format json`,
);
console.log("  npx wscat -c 'ws://127.0.0.1:3005/?channels=BTC.trade'");

let running = true;
for (const signal of ["SIGINT", "SIGTERM"])
	process.on(signal, () => {
		running = false;
	});
const beganMs = performance.now();
const tookMs = () => performance.now() - beganMs;
let written = 0;
while (running && (seconds === 0 || tookMs() < seconds * 1000)) {
	const due = Math.floor((tookMs() * rate) / 1000) - written;
	const events = Array.from({ length: Math.min(due, 10_000) }, nextEvent);
	const of = (name) => events.filter(({ topic }) => topic === name).map(({ key, data }) => ({ key, value: JSON.stringify(data) }));
	const topicMessages = topics.map((topic) => ({ topic, messages: of(topic) })).filter(({ messages }) => messages.length > 0);
	if (topicMessages.length > 0) await producer.sendBatch({ acks: -1, topicMessages });
	written += events.length;
	await new Promise((resolve) => setTimeout(resolve, tickMs));
}
console.log(`${written} events in ${(tookMs() / 1000).toFixed(1)} s`);
await Promise.all([admin.disconnect(), producer.disconnect()]);

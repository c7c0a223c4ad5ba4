// Chooses the channels of each Kafka record, in place of --kafka-channel:
//   npm start -- --kafka-brokers 127.0.0.1:9092 --kafka-topics trade --kafka-route ./examples/kafka-route.mjs
// It runs on the ingest worker, for each record in order, for at most --kafka-route-budget per record.

/** @param record { topic, partition, offset, timestampMs, key, value, headers }; `value` and headers are copies that you may keep. */
export default function route({ topic, key, value }) {
	// null: this record is not sent to any client.
	if (key === null) return null;
	const trade = JSON.parse(Buffer.from(value).toString());
	// Several channels: a client that listens to both gets the record once. If this function throws, the record is not delivered, and counted.
	const channels = [`${key}.${topic}`, trade.price > 10_000 ? "big" : "small"];
	// The payload to send; without it, the record's value is sent.
	return { channels, payload: JSON.stringify({ symbol: key, price: trade.price }) };
}

export { type BrokerOptions, KafkaBroker } from "./broker.ts";
export { connectKafka, type KafkaClient } from "./client.ts";
export { acquireKafka, type KafkaNeeds, kafkaForTests, type TestKafka } from "./for-tests.ts";
export { KafkaUnavailable, kafkaVersion } from "./jars.ts";
export { saslUsers } from "./properties.ts";

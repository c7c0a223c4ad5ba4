import type { Config } from "../options/options.ts";

const froms = { latest: "the latest record", earliest: "the first record", committed: "the committed offsets" } as const;

/** A line for the banner that says what is read from Kafka, and how. Null = Kafka is not used. @param shards number of shards. */
export function kafkaLine(config: Config, shards: number): string | null {
	const { kafkaBrokers, kafkaTopics, kafkaMode, kafkaGroup, kafkaFrom, kafkaPublishTopic, kafkaDeadLetter } = config;
	if (kafkaBrokers.length === 0) return null;
	const topics = [...new Set([kafkaTopics, kafkaPublishTopic])].filter((text) => text !== "").join(",");
	const last = shards === 1 ? "" : ` to ${kafkaGroup}-${shards - 1}`;
	const group = kafkaMode === "shared" ? `group ${kafkaGroup}` : `group ${kafkaGroup}-0${last}`;
	const parts = [`reads ${topics} from ${kafkaBrokers.join(",")}`, kafkaMode, group, `begins at ${froms[kafkaFrom]}`];
	if (kafkaPublishTopic !== "") parts.push(`clients publish to ${kafkaPublishTopic}`);
	if (kafkaDeadLetter !== "") parts.push(`dead letters to ${kafkaDeadLetter}`);
	return parts.join("; ");
}

import type { Config } from "../options/options.ts";
import { kafkaGroupOf } from "./kafka-group.ts";

const froms = { latest: "the latest record", earliest: "the first record", committed: "the committed offsets" } as const;

/** A line for the banner that says what is read from Kafka, and how. Null = Kafka is not used. @param shards number of shards. */
export function kafkaLine(config: Config, shards: number): string | null {
	const { kafkaBrokers, kafkaTopics, kafkaMessageTopics, kafkaMode, kafkaFrom, kafkaPublishTopic, kafkaDeadLetter } = config;
	if (kafkaBrokers.length === 0) return null;
	const topics = [...new Set([kafkaTopics, kafkaMessageTopics, kafkaPublishTopic])].filter((text) => text !== "").join(",");
	const name = kafkaGroupOf(config);
	const last = shards === 1 ? "" : ` to ${name}-${shards - 1}`;
	const group = kafkaMode === "shared" ? `group ${name}` : `group ${name}-0${last}`;
	const parts = [`reads ${topics} from ${kafkaBrokers.join(",")}`, kafkaMode, group, `begins at ${froms[kafkaFrom]}`];
	if (kafkaPublishTopic !== "") parts.push(`clients publish to ${kafkaPublishTopic}`);
	if (kafkaDeadLetter !== "") parts.push(`dead letters to ${kafkaDeadLetter}`);
	return parts.join("; ");
}

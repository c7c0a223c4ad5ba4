import type { RecordLoop } from "@shardcast/bus";
import { type Ask, clusterNodesQuestion } from "@shardcast/control";
import type { ChannelHistory, ShardIngest } from "@shardcast/kafka";
import type { Feature } from "./feature.ts";

interface KafkaFeatureParts {
	readonly ingest: ShardIngest;
	readonly loop: RecordLoop;
	/** Called after a record with high priority was put on the bus. */
	readonly onUrgent: () => void;
	readonly history: ChannelHistory;
	readonly ask: Ask;
}

/** Kafka ingest as a feature. Its thread and connections take a while to start; other features do not wait for them. */
export function kafkaFeature({ ingest, loop, onUrgent, history, ask }: KafkaFeatureParts): Feature {
	return {
		name: "kafka",
		start: () => ingest.start(loop, onUrgent, history, () => ask(clusterNodesQuestion, null)),
		measures: (metrics) => ingest.measures(metrics),
		serving: () => ingest.serving(),
		drain: (leftMs) => ingest.drain(leftMs),
		stop: () => ingest.stop(),
	};
}

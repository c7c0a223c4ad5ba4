import type { RecordLoop } from "@shardcast/bus";
import { type Ask, clusterNodesQuestion } from "@shardcast/control";
import type { ChannelHistory, ShardIngest } from "@shardcast/kafka";
import type { Feature } from "./feature.ts";

/** Kafka ingest as a feature. Its thread and connections take a while to start; other features do not wait for them. */
export function kafkaFeature(ingest: ShardIngest, loop: RecordLoop, history: ChannelHistory, ask: Ask): Feature {
	return {
		name: "kafka",
		start: () => ingest.start(loop, history, () => ask(clusterNodesQuestion, null)),
		measures: (metrics) => ingest.measures(metrics),
		serving: () => ingest.serving(),
		drain: (leftMs) => ingest.drain(leftMs),
		stop: () => ingest.stop(),
	};
}

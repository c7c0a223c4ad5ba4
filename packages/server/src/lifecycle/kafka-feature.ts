import type { RecordLoop } from "@shardcast/bus";
import type { ChannelHistory, ShardIngest } from "@shardcast/kafka";
import type { Feature } from "./feature.ts";

/** Kafka's part of the shard. Its thread and connections take a while to start, which the rest does not wait for. */
export function kafkaFeature(ingest: ShardIngest, loop: RecordLoop, history: ChannelHistory): Feature {
	return {
		name: "kafka",
		start: () => ingest.start(loop, history),
		measures: (metrics) => ingest.measures(metrics),
		serving: () => ingest.serving(),
		drain: (leftMs) => ingest.drain(leftMs),
		stop: () => ingest.stop(),
	};
}

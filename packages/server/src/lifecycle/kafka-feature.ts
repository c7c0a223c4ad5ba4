import type { RecordLoop } from "@shardcast/bus";
import type { Config } from "@shardcast/config";
import { type Ask, clusterNodesQuestion } from "@shardcast/control";
import type { ChannelHistory, IngestWatch, ShardIngest } from "@shardcast/kafka";
import type { Tracing } from "../tracing/tracing.ts";
import type { Feature } from "./feature.ts";

interface KafkaFeatureParts {
	readonly ingest: ShardIngest;
	readonly loop: RecordLoop;
	/** Called after a record with high priority was put on the bus. */
	readonly onUrgent: () => void;
	readonly history: ChannelHistory;
	readonly ask: Ask;
	readonly live: { readonly config: Pick<Config, "traceSample" | "slowMessageMs"> };
	/** Null = traces are not exported. */
	readonly tracing: Pick<Tracing, "take"> | null;
}

/** Kafka ingest as a feature. Its thread and connections take a while to start; other features do not wait for them. */
export function kafkaFeature({ ingest, loop, onUrgent, history, ask, live, tracing }: KafkaFeatureParts): Feature {
	const watch: IngestWatch = {
		observed: () => ({ traceSample: tracing === null ? null : live.config.traceSample, waits: live.config.slowMessageMs > 0 }),
		traced: (...spans) => tracing?.take(...spans),
	};
	return {
		name: "kafka",
		start: () => ingest.start(loop, onUrgent, history, () => ask(clusterNodesQuestion, null), watch),
		measures: (metrics) => ingest.measures(metrics),
		serving: () => ingest.serving(),
		drain: (leftMs) => ingest.drain(leftMs),
		stop: () => ingest.stop(),
	};
}

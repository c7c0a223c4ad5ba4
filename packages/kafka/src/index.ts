export type { KafkaHistory } from "./history/kafka-history.ts";
export type { HistoryFailure, RecordRange } from "./history/missed-records.ts";
export type { MissedRecord } from "./history/record-pack.ts";
export type { IngestWatch } from "./host/ingest.ts";
export type { ChannelHistory } from "./host/logged-destination.ts";
export { createPositionFile, positionFileBytes } from "./positions/position-file.ts";
export { ShardIngest } from "./shard-ingest.ts";

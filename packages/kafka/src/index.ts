export type { ChannelHistory } from "./host/logged-destination.ts";
export { createPositionFile, positionFileBytes } from "./positions/position-file.ts";
export { ShardIngest } from "./shard-ingest.ts";

export { ShardIngest } from "./shard-ingest.ts";

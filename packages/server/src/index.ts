export { FlushEngine, type Scheduler } from "./delivery/flush.ts";
export { FlushPolicy } from "./delivery/flush-policy.ts";
export { Shard } from "./lifecycle/shard.ts";
export { runSingle } from "./lifecycle/single.ts";
export { StatusLine } from "./lifecycle/status-line.ts";
export { openRedis } from "./redis/open-redis.ts";
export { proxyTokenCheck } from "./transports/proxy-token.ts";

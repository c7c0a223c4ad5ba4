export type { NodeReport } from "./membership.ts";
export { NodeWatch } from "./node-watch.ts";
export { redisOptionsOf } from "./redis-from-config.ts";
export { FollowedOrders } from "./revocations/followed-orders.ts";
export { type NodeEvents, ThisNode } from "./this-node.ts";

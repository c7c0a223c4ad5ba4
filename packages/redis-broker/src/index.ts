export { FeedCounts, Feeder, type FeederParts } from "./feed/feeder.ts";
export { Keys } from "./keys.ts";
export { type NodeId, newNodeId } from "./node-id.ts";
export { RedisBroker, type RedisBrokerOptions, type StreamPart } from "./redis-broker.ts";
export { type Announced, decodePublication, readAnnounced, type StoredPublication } from "./stored-publication.ts";

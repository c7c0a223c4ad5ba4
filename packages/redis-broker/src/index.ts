export { type CompressionMethod, Compressor } from "./compression.ts";
export { FeedCounts, Feeder, type FeederParts } from "./feed/feeder.ts";
export { nobodysEpoch } from "./feed/followed-channel.ts";
export { Keys } from "./keys.ts";
export { IncomingMessages } from "./messages/incoming-messages.ts";
export { OutgoingMessages } from "./messages/outgoing-messages.ts";
export type { NodeId } from "./node-id.ts";
export { RedisBroker } from "./redis-broker.ts";

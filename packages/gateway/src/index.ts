export { BufferPool, type BufferPoolOptions } from "./buffers/buffer-pool.ts";
export type { BufferTier } from "./buffers/buffer-tier.ts";
export { BufferLimits, bufferTiers, type TierSize } from "./buffers/buffer-tiers.ts";
export { Frame } from "./buffers/frame.ts";
export { AckCounters, AckDefaults, AckWindow } from "./flow/ack-window.ts";
export { Bandwidth } from "./flow/bandwidth.ts";
export {
	ackedClass,
	classOf,
	encodeFrameHeader,
	encodeMessageHeader,
	isUrgent,
	knownClass,
	mayDrop,
	messageProblem,
	readU32,
	writeU32,
} from "./frames/frame-codec.ts";
export { FrameClass, FrameLayout, frameClassCount } from "./frames/frame-descriptor.ts";
export { FrameDecision, FrameReader, type FrameSink, ReaderCounters, ReaderStatus } from "./frames/frame-reader.ts";
export {
	BackendLaneCounters,
	BackendQueue,
	BackendQueueCounters,
	BackendQueueDefaults,
	type BackendQueueOptions,
} from "./lanes/backend-queue.ts";
export { ClientLaneCounters, ClientLaneDefaults, ClientLanes, type ClientLanesOptions } from "./lanes/client-lanes.ts";
export { HeldBudget, HeldDefaults } from "./lanes/held-frames.ts";
export type { Offered } from "./lanes/lane.ts";
export { LaneCounters } from "./lanes/lane-counters.ts";

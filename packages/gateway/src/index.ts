export { BackendLink, type LinkListener, type LinkParts } from "./backends/backend-link.ts";
export type { ConnectionKind } from "./backends/backend-messages.ts";
export {
	type Backend,
	type BackendOrigin,
	Backends,
	type BackendsListener,
	type BackendsParts,
	backendsMaxDefault,
} from "./backends/backends.ts";
export { Breaker, type BreakerOptions, BreakerState, breakerDefaults } from "./backends/breaker.ts";
export { LinkCounts, type LinkEnd, linkEnds } from "./backends/link-counts.ts";
export { type LinkOptions, linkDefaults } from "./backends/link-options.ts";
export { type ReconnectOptions, reconnectDefaults } from "./backends/reconnect-delay.ts";
export { BufferPool, type BufferPoolOptions } from "./buffers/buffer-pool.ts";
export type { BufferTier } from "./buffers/buffer-tier.ts";
export { BufferLimits, bufferTiers, type TierSize } from "./buffers/buffer-tiers.ts";
export { Frame } from "./buffers/frame.ts";
export { type Announcement, announcementBytesMax, parseAnnouncement, signatureOf } from "./discovery/announcement.ts";
export { Discovery, type DiscoveryOptions, type DiscoveryParts, discoveryDefaults, type FoundBackend } from "./discovery/discovery.ts";
export { type AnnouncementRefusal, announcementRefusals } from "./discovery/refusals.ts";
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
export { runGateway } from "./run-gateway.ts";

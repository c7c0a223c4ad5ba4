export { BufferPool } from "./buffers/buffer-pool.ts";
export type { Frame } from "./buffers/frame.ts";
export { encodeFrameHeader } from "./frames/frame-codec.ts";
export { FrameClass, FrameLayout } from "./frames/frame-descriptor.ts";
export { FrameDecision, FrameReader, type FrameSink } from "./frames/frame-reader.ts";
export { BackendQueue } from "./lanes/backend-queue.ts";
export { ClientLanes } from "./lanes/client-lanes.ts";
export { HeldBudget } from "./lanes/held-frames.ts";
export { runGateway } from "./run-gateway.ts";

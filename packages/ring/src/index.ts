export { hasBeenRead, registerReader, releaseReader } from "./reader-slots.ts";
export { attachRing, createRing, type Ring, ringBytes } from "./ring.ts";
export { ReaderState, RingLayout } from "./ring-descriptor.ts";
export { RingError, RingErrorCode } from "./ring-error.ts";
export { RingReader, type VisitRecord } from "./ring-reader.ts";
export { RingSignal, signalBytes } from "./ring-signal.ts";
export { RingWriter } from "./ring-writer.ts";

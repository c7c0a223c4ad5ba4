export type { Caller, CallOutcome, OpenCaller } from "./caller.ts";
export type { ClientRecord } from "./client-record.ts";
export {
	type CollectedRing,
	createEventRing,
	EventReader,
	EventWriter,
	eventRingBytes,
	eventRingInMemory,
	openEventRing,
} from "./event-ring.ts";
export { signatures, webhookHeaders } from "./signature.ts";
export { Webhooks } from "./webhooks.ts";

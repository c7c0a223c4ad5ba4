export type { BusLink, VisitOrigin, VisitOriginAhead } from "./bus-link.ts";
export { Doorbells } from "./doorbells.ts";
export {
	createMemberFiles,
	isReadByAll,
	isRunning,
	type OpenMemberFiles,
	openMemberFiles,
	releaseMember,
	removeMemberFiles,
} from "./member-files.ts";
export { MemoryBus } from "./memory-bus.ts";
export type { MessageDetails, MessageSink } from "./message-sink.ts";
export type { RecordLoop, RecordSource } from "./record-source.ts";
export { SharedMemoryBus } from "./shared-memory-bus.ts";

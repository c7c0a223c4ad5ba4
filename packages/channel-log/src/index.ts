export type {
	Answer,
	Broker,
	BrokerFull,
	BrokerTaken,
	BrokerTooLarge,
	History,
	HistoryGlance,
	HistoryLimits,
	HistoryOptions,
	Idempotency,
	KafkaNumbering,
	Position,
	Publication,
	PublishOptions,
} from "./broker.ts";
export {
	ChannelLog,
	type ChannelLogOptions,
	type FeedOptions,
	type LogHistoryOptions,
	type LogMember,
	type MirrorOptions,
} from "./channel-log.ts";
export { epochText } from "./channel-names.ts";
export { type Feed, type FeedRecord, feedOf } from "./feed.ts";
export { LogCounter, LogLayout, RecordFlag } from "./log-descriptor.ts";
export { LogError, LogErrorCode } from "./log-error.ts";
export { createLogBuffers, openLogBuffers, openLogFiles } from "./log-files.ts";
export type { LogFill } from "./log-fill.ts";
export { type HeldLock, LogKeeper } from "./log-keeper.ts";
export { holderOf, tryLock, unlock } from "./log-lock.ts";
export type { LogMemory } from "./log-memory.ts";
export { LogReader } from "./log-reader.ts";
export { createLogRecordHead, hasFlag, type LogRecordHead } from "./log-record.ts";

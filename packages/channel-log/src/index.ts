export type {
	Answer,
	Broker,
	BrokerAccepted,
	BrokerFull,
	BrokerTooLarge,
	BrokerUnacknowledged,
	GivenNumbering,
	History,
	HistoryLimits,
	HistoryOptions,
	HistorySummary,
	Idempotency,
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
export { epochParts, epochText } from "./channel-names.ts";
export { type Feed, type FeedRecord, feedOf } from "./feed.ts";
export { checkKeyTtl, checkLimits } from "./limits.ts";
export { LogError, LogErrorCode } from "./log-error.ts";
export { LogCounter, LogLayout, RecordFlag } from "./memory/log-descriptor.ts";
export { createLogBuffers, openLogBuffers, openLogFiles } from "./memory/log-files.ts";
export type { LogFill } from "./memory/log-fill.ts";
export { LogKeeper } from "./memory/log-keeper.ts";
export { holderOf, slotOfHolder, tryLock, unlock } from "./memory/log-lock.ts";
export type { LogMemory } from "./memory/log-memory.ts";
export { LogReader } from "./records/log-reader.ts";
export { createLogRecordHead, hasFlag, type LogRecordHead } from "./records/log-record.ts";

export { type Codec, jsonCodec, protobufCodec } from "./codec.ts";
export * from "./codes/disconnect-codes.ts";
export * from "./codes/error-codes.ts";
export * from "./codes/subscribe-flags.ts";
export * from "./codes/unsubscribe-codes.ts";
export { fossilDelta } from "./fossil-delta.ts";
export { sseFrame } from "./framing.ts";
export { quoteJson } from "./json/json-string.ts";
export type { Command, DecodedFrame, Method, Requests } from "./messages/command.ts";
export type { EmulationRequest } from "./messages/emulation-request.ts";
export type { FilterNode } from "./messages/filter-node.ts";
export { type ClientInfo, EncodedPublications, type Publication } from "./messages/publication.ts";
export type { Message, Presence, Push } from "./messages/push.ts";
export type { Reply } from "./messages/reply.ts";
export type * from "./messages/requests.ts";
export type {
	ConnectResult,
	EmptyResult,
	HistoryResult,
	PresenceResult,
	PresenceStatsResult,
	RefreshResult,
	RpcResult,
	SubRefreshResult,
	SubscribeResult,
} from "./messages/results.ts";
export * from "./protocol-error.ts";
export type { PublicationEncoder } from "./publication-encoder.ts";
export { noBytes } from "./schema/message-type.ts";

import { bool, bytes, int32, int64, message, messageMap, string, stringMap, uint64 } from "../schema/field.ts";
import { type MessageType, messageType } from "../schema/message-type.ts";
import { type FilterNode, filterNode } from "./filter-node.ts";

// Field numbers: client.proto of the Centrifuge client protocol v2. The tests compare them with the build of npm `centrifuge`.

/** Payloads of requests are views of the decoded frame; no bytes = absent. */
export interface SubscribeRequest {
	readonly channel: string;
	readonly token: string;
	readonly recover: boolean;
	readonly epoch: string;
	readonly offset: number;
	readonly data: Uint8Array;
	readonly positioned: boolean;
	readonly recoverable: boolean;
	readonly joinLeave: boolean;
	/** The type of delta that the client asks for; "" = none. */
	readonly delta: string;
	/** Tag filter. */
	readonly tf: FilterNode | null;
	/** Bits of `SubscribeFlag`. */
	readonly flag: number;
}
export const subscribeRequest: MessageType<SubscribeRequest> = messageType<SubscribeRequest>("SubscribeRequest", {
	channel: string(1),
	token: string(2),
	recover: bool(3),
	epoch: string(6),
	offset: uint64(7),
	data: bytes(8),
	positioned: bool(9),
	recoverable: bool(10),
	joinLeave: bool(11),
	delta: string(12),
	tf: message(13, () => filterNode),
	flag: int64(14),
});

/** The first command; on `/connection/uni_*` it comes without a command around it. */
export interface ConnectRequest {
	readonly token: string;
	readonly data: Uint8Array;
	/** Server-side subscriptions that the client wants to recover, by channel. */
	readonly subs: ReadonlyMap<string, SubscribeRequest>;
	readonly name: string;
	readonly version: string;
	/** Emulated HTTP headers, as the client names them. */
	readonly headers: ReadonlyMap<string, string>;
	readonly flag: number;
}
export const connectRequest = messageType<ConnectRequest>("ConnectRequest", {
	token: string(1),
	data: bytes(2),
	subs: messageMap(3, () => subscribeRequest),
	name: string(4),
	version: string(5),
	headers: stringMap(6),
	flag: int64(7),
});

export interface UnsubscribeRequest {
	readonly channel: string;
}
export const unsubscribeRequest = messageType<UnsubscribeRequest>("UnsubscribeRequest", { channel: string(1) });

export interface PublishRequest {
	readonly channel: string;
	readonly data: Uint8Array;
}
export const publishRequest = messageType<PublishRequest>("PublishRequest", { channel: string(1), data: bytes(2) });

export interface PresenceRequest {
	readonly channel: string;
}
export const presenceRequest = messageType<PresenceRequest>("PresenceRequest", { channel: string(1) });

export interface PresenceStatsRequest {
	readonly channel: string;
}
export const presenceStatsRequest = messageType<PresenceStatsRequest>("PresenceStatsRequest", { channel: string(1) });

/** A position in a channel's history. */
export interface StreamPosition {
	readonly offset: number;
	readonly epoch: string;
}
export const streamPosition = messageType<StreamPosition>("StreamPosition", { offset: uint64(1), epoch: string(2) });

export interface HistoryRequest {
	readonly channel: string;
	/** 0 = only the position, negative = all. */
	readonly limit: number;
	readonly since: StreamPosition | null;
	readonly reverse: boolean;
}
export const historyRequest = messageType<HistoryRequest>("HistoryRequest", {
	channel: string(1),
	limit: int32(7),
	since: message(8, () => streamPosition),
	reverse: bool(9),
});

export interface RpcRequest {
	readonly data: Uint8Array;
	readonly method: string;
}
export const rpcRequest = messageType<RpcRequest>("RPCRequest", { data: bytes(1), method: string(2) });

export interface SendRequest {
	readonly data: Uint8Array;
}
export const sendRequest = messageType<SendRequest>("SendRequest", { data: bytes(1) });

export interface RefreshRequest {
	readonly token: string;
}
export const refreshRequest = messageType<RefreshRequest>("RefreshRequest", { token: string(1) });

export interface SubRefreshRequest {
	readonly channel: string;
	readonly token: string;
}
export const subRefreshRequest = messageType<SubRefreshRequest>("SubRefreshRequest", { channel: string(1), token: string(2) });

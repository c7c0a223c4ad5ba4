import { always, bool, bytes, int64, messageMap, messages, string, uint32, uint64 } from "../schema/field.ts";
import { messageType } from "../schema/message-type.ts";
import { type ClientInfo, clientInfo, type Publication, publication } from "./publication.ts";

// Field numbers: client.proto of the Centrifuge client protocol v2. Fields that are zero, false or empty are not sent; the exceptions are
// marked `always`.

export interface SubscribeResult {
	readonly expires?: boolean | undefined;
	/** Seconds. */
	readonly ttl?: number | undefined;
	readonly recoverable?: boolean | undefined;
	readonly epoch?: string | undefined;
	readonly publications?: readonly Publication[] | undefined;
	readonly recovered?: boolean | undefined;
	readonly offset?: number | undefined;
	readonly positioned?: boolean | undefined;
	readonly data?: Uint8Array | undefined;
	readonly wasRecovering?: boolean | undefined;
	readonly delta?: boolean | undefined;
	/** Numeric id of the channel; this server does not use it. */
	readonly id?: number | undefined;
}
export const subscribeResult = messageType<SubscribeResult>("SubscribeResult", {
	expires: bool(1),
	ttl: uint32(2),
	recoverable: bool(3),
	epoch: string(6),
	publications: messages(7, () => publication),
	recovered: bool(8),
	offset: uint64(9),
	positioned: bool(10),
	data: bytes(11),
	wasRecovering: bool(12),
	delta: bool(13),
	id: int64(14),
});

export interface ConnectResult {
	readonly client?: string | undefined;
	readonly version?: string | undefined;
	readonly expires?: boolean | undefined;
	/** Seconds. */
	readonly ttl?: number | undefined;
	readonly data?: Uint8Array | undefined;
	/** Server-side subscriptions, by channel. */
	readonly subs?: ReadonlyMap<string, SubscribeResult> | undefined;
	/** Seconds between pings. */
	readonly ping?: number | undefined;
	readonly pong?: boolean | undefined;
	readonly session?: string | undefined;
	readonly node?: string | undefined;
	/** Unix time in milliseconds. */
	readonly time?: number | undefined;
}
export const connectResult = messageType<ConnectResult>("ConnectResult", {
	client: string(1),
	version: string(2),
	expires: bool(3),
	ttl: uint32(4),
	data: bytes(5),
	subs: messageMap(6, () => subscribeResult),
	ping: uint32(7),
	pong: bool(8),
	session: string(9),
	node: string(10),
	time: int64(11),
});

/** The empty result of unsubscribe and publish. */
export type EmptyResult = Readonly<Record<never, never>>;
export const unsubscribeResult = messageType<EmptyResult>("UnsubscribeResult", {});
export const publishResult = messageType<EmptyResult>("PublishResult", {});

export interface PresenceResult {
	/** By client. */
	readonly presence: ReadonlyMap<string, ClientInfo>;
}
export const presenceResult = messageType<PresenceResult>("PresenceResult", { presence: always(messageMap(1, () => clientInfo)) });

export interface PresenceStatsResult {
	readonly numClients: number;
	readonly numUsers: number;
}
export const presenceStatsResult = messageType<PresenceStatsResult>("PresenceStatsResult", {
	numClients: always(uint32(1)),
	numUsers: always(uint32(2)),
});

export interface HistoryResult {
	readonly publications: readonly Publication[];
	readonly epoch: string;
	readonly offset: number;
}
export const historyResult = messageType<HistoryResult>("HistoryResult", {
	publications: always(messages(1, () => publication)),
	epoch: always(string(2)),
	offset: always(uint64(3)),
});

export interface RpcResult {
	readonly data?: Uint8Array | undefined;
}
export const rpcResult = messageType<RpcResult>("RPCResult", { data: bytes(1) });

export interface RefreshResult {
	readonly client?: string | undefined;
	readonly version?: string | undefined;
	readonly expires?: boolean | undefined;
	/** Seconds. */
	readonly ttl?: number | undefined;
}
export const refreshResult = messageType<RefreshResult>("RefreshResult", {
	client: string(1),
	version: string(2),
	expires: bool(3),
	ttl: uint32(4),
});

export interface SubRefreshResult {
	readonly expires?: boolean | undefined;
	/** Seconds. */
	readonly ttl?: number | undefined;
}
export const subRefreshResult = messageType<SubRefreshResult>("SubRefreshResult", { expires: bool(1), ttl: uint32(2) });

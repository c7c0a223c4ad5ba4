import type { Disconnect } from "../codes/disconnect-codes.ts";
import type { Unsubscribe } from "../codes/unsubscribe-codes.ts";
import { bool, bytes, int64, message, messageMap, string, uint32, uint64 } from "../schema/field.ts";
import { messageType } from "../schema/message-type.ts";
import { type ClientInfo, clientInfo, type Publication, publication } from "./publication.ts";
import { type ConnectResult, type SubRefreshResult, type SubscribeResult, subscribeResult } from "./results.ts";

/** The body of a join or leave push. */
export interface Presence {
	readonly info: ClientInfo;
}
const join = messageType<Presence>("Join", { info: message(1, () => clientInfo) });
const leave = messageType<Presence>("Leave", { info: message(1, () => clientInfo) });

const unsubscribe = messageType<Unsubscribe>("Unsubscribe", { code: uint32(2), reason: string(3) });

/** The body of the push that tells a client that the server has subscribed it. */
type SubscribePush = Pick<SubscribeResult, "recoverable" | "epoch" | "offset" | "positioned" | "data">;
const subscribe = messageType<SubscribePush>("Subscribe", {
	recoverable: bool(1),
	epoch: string(4),
	offset: uint64(5),
	positioned: bool(6),
	data: bytes(7),
});

/** A message to one connection, outside of channels. */
export interface Message {
	readonly data: Uint8Array;
}
const plainMessage = messageType<Message>("Message", { data: bytes(1) });

/** The first push of a unidirectional connection, with the contents of a connect reply. Its field numbers differ from the reply's. */
const connect = messageType<ConnectResult>("Connect", {
	client: string(1),
	version: string(2),
	data: bytes(3),
	subs: messageMap(4, () => subscribeResult),
	expires: bool(5),
	ttl: uint32(6),
	ping: uint32(7),
	pong: bool(8),
	session: string(9),
	node: string(10),
	time: int64(11),
});

const disconnect = messageType<Disconnect>("Disconnect", { code: uint32(1), reason: string(2) });
const refresh = messageType<SubRefreshResult>("Refresh", { expires: bool(1), ttl: uint32(2) });

/** A message that is not a reply. It has one of the bodies; bodies about a channel need `channel`. Without a body it is a ping (`uni_*`). */
export interface Push {
	/** Numeric id of the channel; this server does not use it. */
	readonly id?: number | undefined;
	readonly channel?: string | undefined;
	readonly pub?: Publication | null | undefined;
	readonly join?: Presence | null | undefined;
	readonly leave?: Presence | null | undefined;
	readonly unsubscribe?: Unsubscribe | null | undefined;
	readonly message?: Message | null | undefined;
	readonly subscribe?: SubscribePush | null | undefined;
	readonly connect?: ConnectResult | null | undefined;
	readonly disconnect?: Disconnect | null | undefined;
	readonly refresh?: SubRefreshResult | null | undefined;
}
export const push = messageType<Push>("Push", {
	id: int64(1),
	channel: string(2),
	pub: message(4, () => publication),
	join: message(5, () => join),
	leave: message(6, () => leave),
	unsubscribe: message(7, () => unsubscribe),
	message: message(8, () => plainMessage),
	subscribe: message(9, () => subscribe),
	connect: message(10, () => connect),
	disconnect: message(11, () => disconnect),
	refresh: message(12, () => refresh),
});

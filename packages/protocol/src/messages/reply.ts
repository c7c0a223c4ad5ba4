import type { ReplyError } from "../codes/error-codes.ts";
import { bool, message, string, uint32 } from "../schema/field.ts";
import { messageType } from "../schema/message-type.ts";
import { type Push, push } from "./push.ts";
import * as results from "./results.ts";

const replyError = messageType<ReplyError>("Error", { code: uint32(1), message: string(2), temporary: bool(3) });

/** The reply to a command: its id with an error or a result. Without an id it is a push; an empty reply is a ping. */
export interface Reply {
	readonly id?: number | undefined;
	readonly error?: ReplyError | null | undefined;
	readonly push?: Push | null | undefined;
	readonly connect?: results.ConnectResult | null | undefined;
	readonly subscribe?: results.SubscribeResult | null | undefined;
	readonly unsubscribe?: results.EmptyResult | null | undefined;
	readonly publish?: results.EmptyResult | null | undefined;
	readonly presence?: results.PresenceResult | null | undefined;
	readonly presenceStats?: results.PresenceStatsResult | null | undefined;
	readonly history?: results.HistoryResult | null | undefined;
	readonly rpc?: results.RpcResult | null | undefined;
	readonly refresh?: results.RefreshResult | null | undefined;
	readonly subRefresh?: results.SubRefreshResult | null | undefined;
}
export const reply = messageType<Reply>("Reply", {
	id: uint32(1),
	error: message(2, () => replyError),
	push: message(4, () => push),
	connect: message(5, () => results.connectResult),
	subscribe: message(6, () => results.subscribeResult),
	unsubscribe: message(7, () => results.unsubscribeResult),
	publish: message(8, () => results.publishResult),
	presence: message(9, () => results.presenceResult),
	presenceStats: message(10, () => results.presenceStatsResult),
	history: message(11, () => results.historyResult),
	rpc: message(13, () => results.rpcResult),
	refresh: message(14, () => results.refreshResult),
	subRefresh: message(15, () => results.subRefreshResult),
});

import type { ProtocolError } from "../protocol-error.ts";
import { message, uint32 } from "../schema/field.ts";
import { messageType } from "../schema/message-type.ts";
import * as requests from "./requests.ts";

/** The methods of the protocol with their requests. */
export interface Requests {
	readonly connect: requests.ConnectRequest;
	readonly subscribe: requests.SubscribeRequest;
	readonly unsubscribe: requests.UnsubscribeRequest;
	readonly publish: requests.PublishRequest;
	readonly presence: requests.PresenceRequest;
	readonly presenceStats: requests.PresenceStatsRequest;
	readonly history: requests.HistoryRequest;
	readonly rpc: requests.RpcRequest;
	readonly send: requests.SendRequest;
	readonly refresh: requests.RefreshRequest;
	readonly subRefresh: requests.SubRefreshRequest;
}
export type Method = keyof Requests;

/**
 * One command of a client.
 *
 * - `pong`: id 0 and no `send`, whatever else it carries.
 * - `unknown`: it has an id, but no method that the protocol has. Disconnect 3501.
 */
export type Command =
	| { readonly [M in Method]: { readonly id: number; readonly method: M; readonly request: Requests[M] } }[Method]
	| { readonly id: 0; readonly method: "pong" }
	| { readonly id: number; readonly method: "unknown" };

/** A command as it is on the wire. */
export type CommandMessage = { readonly id: number } & { readonly [M in Method]: Requests[M] | null };
export const commandMessage = messageType<CommandMessage>("Command", {
	id: uint32(1),
	connect: message(4, () => requests.connectRequest),
	subscribe: message(5, () => requests.subscribeRequest),
	unsubscribe: message(6, () => requests.unsubscribeRequest),
	publish: message(7, () => requests.publishRequest),
	presence: message(8, () => requests.presenceRequest),
	presenceStats: message(9, () => requests.presenceStatsRequest),
	history: message(10, () => requests.historyRequest),
	send: message(12, () => requests.sendRequest),
	rpc: message(13, () => requests.rpcRequest),
	refresh: message(14, () => requests.refreshRequest),
	subRefresh: message(15, () => requests.subRefreshRequest),
});

/** Of a command that carries several, the first of these counts, as in the reference server. */
const methods: readonly Method[] = [
	"connect",
	"subscribe",
	"unsubscribe",
	"publish",
	"presence",
	"presenceStats",
	"history",
	"rpc",
	"send",
	"refresh",
	"subRefresh",
];

export function commandOf(message: CommandMessage): Command {
	if (message.id === 0 && message.send === null) return pong;
	for (const method of methods) {
		const request = message[method];
		if (request !== null) return { id: message.id, method, request } as Command;
	}
	return { id: message.id, method: "unknown" };
}

const pong: Command = Object.freeze({ id: 0, method: "pong" });

/**
 * What one frame holds: its commands in order, up to the first that breaks the protocol. Those before it are to be processed before the
 * connection ends with disconnect 3501.
 */
export interface DecodedFrame {
	readonly commands: readonly Command[];
	/** What is wrong behind the commands; null = nothing. */
	readonly error: ProtocolError | null;
}

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
 * - `unknown`: it has an id, but no known method. Disconnect 3501.
 */
export type Command =
	| { readonly [M in Method]: { readonly id: number; readonly method: M; readonly request: Requests[M] } }[Method]
	| { readonly id: 0; readonly method: "pong" }
	| { readonly id: number; readonly method: "unknown" };

/** A command as it is on the wire. */
type CommandMessage = { readonly id: number } & { readonly [M in Method]: Requests[M] | null };
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

/** If a command carries several methods, the first in this order counts, as in the reference server. */
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
 * The contents of one frame: its commands in order, up to the first protocol violation. Process the commands before it, then close the
 * connection with disconnect 3501.
 */
export interface DecodedFrame {
	readonly commands: readonly Command[];
	/** The violation after the commands; null = none. */
	readonly error: ProtocolError | null;
}

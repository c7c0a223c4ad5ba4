import type { ApiMethodName } from "@shardcast/config";
import { any, count, flag, listOf, type Schema, table, tableOf, text } from "./schema.ts";

/** One method of the server API. */
export interface MethodDescription {
	/** One sentence. */
	readonly summary: string;
	readonly request: Schema;
	readonly result: Schema;
}

const nothing = table({});
const bytes = (of: string): Schema => ({ type: "string", contentEncoding: "base64", description: `The same as \`${of}\`, in Base64.` });
const channel = text("Name of the channel.");
const since = table({ offset: count(), epoch: text() }, ["offset"], "A position in the channel.");
const info = { info: any("JSON for other clients to see, at most 16 KiB."), b64info: bytes("info") };
const expireAt = count("Seconds since 1970; 0 = never.");
const page = {
	limit: { ...count("Entries per page, at most 10,000; 0 = all without `cursor`, 10,000 with it."), maximum: 10_000 },
	cursor: { ...text("`next_cursor` of the previous page."), maxLength: 255 },
};
const nextPage = { next_cursor: text("Present if there are more entries: repeat the request with it as `cursor`.") };
const user = { ...text("User id, at most 255 bytes."), maxLength: 255 };
const target = {
	user: { ...text("User id, at most 255 bytes: all connections of this user, on all shards."), maxLength: 255 },
	client: text("Client id: only this connection."),
	session: text("Session id: only this connection."),
};
const message = {
	data: any("The message; a string is sent as text, any other value byte for byte."),
	b64data: bytes("data"),
	tags: tableOf(text(), "Strings for subscribers and for their tag filters; at most 8 KiB."),
	idempotency_key: text("A second message with the same key in the same channel, within five minutes, is not published."),
	delta: flag("Subscribers that take deltas may get the difference from the previous message."),
	skip_history: flag("The message is not added to the channel's history."),
	type: { ...text('Clients get `{"type": …, "payload": …}`, with the data as payload.'), minLength: 1, maxLength: 128 },
	priority: { ...text("High: the message does not wait behind others."), enum: ["normal", "high"] },
};
const direct = {
	type: message.type,
	data: any("The payload, byte for byte."),
	priority: message.priority,
};
const override = tableOf(table({ value: flag("On or off.") }), "Channel options for this subscription only, such as `presence`.");
const clientInfo = table(
	{ client: text(), user: text(), conn_info: any("`info` of the connection token."), chan_info: any("`info` of the subscription token.") },
	["client", "user"],
);
const publication = table(
	{ data: any("The message."), offset: count(), info: clientInfo, tags: tableOf(text(), "As published.") },
	["data"],
	"A message in the history.",
);
const position = table({ offset: count(), epoch: text() }, [], "Position of the message; empty without history.");
const problem = table({ code: count("Error code of the protocol."), message: text() }, ["code", "message"]);

export const errorSchema = table({ error: problem }, ["error"]);

/** Request and result of every method, by name. The batch consists of the others. */
export const apiMethodDescriptions: Readonly<Record<Exclude<ApiMethodName, "batch">, MethodDescription>> = {
	publish: {
		summary: "Publishes a message to a channel, or to all clients.",
		request: table({ channel: text("Name of the channel; absent = all raw clients."), ...message }),
		result: position,
	},
	broadcast: {
		summary: "Publishes a message to several channels.",
		request: table({ channels: { ...listOf({ type: "string", minLength: 1 }, "Names of the channels.", 1000), minItems: 1 }, ...message }, [
			"channels",
		]),
		result: table({ responses: listOf({ anyOf: [table({ result: position }, ["result"]), errorSchema] }, "One per channel, in order.") }, [
			"responses",
		]),
	},
	send_to_user: {
		summary: "Sends a message to all connections of a user, outside of channels.",
		request: table({ user, ...direct }, ["user", "type", "data"]),
		result: nothing,
	},
	send_to_all: {
		summary: "Sends a message to all clients of all protocols, outside of channels.",
		request: table(direct, ["type", "data"]),
		result: nothing,
	},
	subscribe: {
		summary: "Subscribes the connections of a user to a channel.",
		request: table(
			{
				...target,
				channel,
				...info,
				data: any("JSON for the client."),
				b64data: bytes("data"),
				expire_at: expireAt,
				recover_since: since,
				override,
			},
			["user", "channel"],
		),
		result: nothing,
	},
	unsubscribe: {
		summary: "Ends the subscriptions of a user to a channel.",
		request: table({ ...target, channel }, ["user", "channel"]),
		result: nothing,
	},
	disconnect: {
		summary: "Closes connections of a user.",
		request: table(
			{
				...target,
				whitelist: listOf(text(), "Client ids of connections to keep.", 1000),
				disconnect: table(
					{ code: { type: "integer", minimum: 3000, maximum: 4999 }, reason: { type: "string", maxLength: 123 } },
					["code"],
					"Close code and reason; 3503 if not given, after which clients do not reconnect by themselves.",
				),
			},
			["user"],
		),
		result: nothing,
	},
	refresh: {
		summary: "Changes when connections of a user expire. Raw clients are not notified.",
		request: table({ ...target, expired: flag("Close them as expired."), expire_at: expireAt, ...info }, ["user"]),
		result: nothing,
	},
	presence: {
		summary: "Lists the subscribers of a channel.",
		request: table({ channel }, ["channel"]),
		result: table({ presence: tableOf(clientInfo, "By client id.") }, ["presence"]),
	},
	presence_stats: {
		summary: "Counts the subscribers of a channel.",
		request: table({ channel }, ["channel"]),
		result: table({ num_clients: count(), num_users: count() }, ["num_clients", "num_users"]),
	},
	history: {
		summary: "Reads the history of a channel.",
		request: table(
			{
				channel,
				limit: { type: "integer", description: "0 = only the position, negative = as many as are allowed." },
				since,
				reverse: flag("Newest first."),
			},
			["channel"],
		),
		result: table({ publications: listOf(publication, "In order."), epoch: text(), offset: count() }, ["publications", "epoch", "offset"]),
	},
	history_remove: {
		summary: "Removes the history of a channel; its offset and epoch continue.",
		request: table({ channel }, ["channel"]),
		result: nothing,
	},
	channels: {
		summary: "Lists channels with subscribers: all of them, at most 32,768, or a page.",
		request: table({ pattern: { ...text("`*` stands for any text, `?` for one character."), maxLength: 255 }, ...page }),
		result: table({ channels: tableOf(table({ num_clients: count() }, ["num_clients"]), "By name."), ...nextPage }, ["channels"]),
	},
	connections: {
		summary: "Lists the connections of a user: all of them, at most 32,768, or a page.",
		request: table({ user, ...page }, ["user"]),
		result: table(
			{
				connections: tableOf(
					table(
						{
							user: text(),
							transport: text('Such as "websocket".'),
							protocol: text('"json" or "protobuf"; "raw" for clients without a protocol.'),
							state: table({ channels: tableOf(nothing, "Its subscriptions, by name.") }, ["channels"]),
						},
						["user", "transport", "protocol", "state"],
					),
					"By client id.",
				),
				...nextPage,
			},
			["connections"],
		),
	},
	block_user: {
		summary: "Closes the connections of a user with 3507, on all shards, and refuses new ones.",
		request: table({ user, expire_at: expireAt }, ["user"]),
		result: nothing,
	},
	unblock_user: {
		summary: "Lets a blocked user connect again.",
		request: table({ user }, ["user"]),
		result: nothing,
	},
	revoke_token: {
		summary: "Refuses a token from now on. Closes the connections that use it with 3500, and ends the subscriptions that use it.",
		request: table({ uid: text("The claim `jti` of the token."), expire_at: expireAt }, ["uid"]),
		result: nothing,
	},
	invalidate_user_tokens: {
		summary: "Revokes all tokens of a user that were issued before a time, and those without the claim `iat`.",
		request: table({ user, issued_before: count("Seconds since 1970."), expire_at: expireAt }, ["user", "issued_before"]),
		result: nothing,
	},
	assign_session: {
		summary: "Assigns the clients of a user, or a connection id, to a node, or finds the node that they have.",
		request: table({
			user: { ...text("User id, at most 255 bytes. A session has a user, a connection, or both."), maxLength: 255 },
			connection: { ...text("Connection id that the client gives to /cluster/select."), maxLength: 256 },
			node: {
				...text("Id of the node that gets the session; absent = the one that has it, or else the one that --select-strategy chooses."),
				maxLength: 256,
			},
			address: { ...text("Address of the client, for --select-strategy ip_hash; kept with the session."), maxLength: 256 },
			region: { ...text("Nodes of this region come first."), maxLength: 256 },
			metadata: any("JSON to keep with the session, at most 4 KiB."),
			b64metadata: bytes("metadata"),
		}),
		result: table(
			{
				...{ node: text("Its id."), address: text(), url: text(), region: text() },
				outcome: { ...text("Full and unavailable: the node is not remembered."), enum: ["kept", "moved", "new", "full", "unavailable"] },
			},
			["node", "address", "url", "region", "outcome"],
		),
	},
	info: {
		summary: "Lists the shards of the cluster.",
		request: nothing,
		result: table(
			{
				nodes: listOf(
					table(
						{
							...{ uid: text(), name: text(), version: text(), num_clients: count(), num_users: count(), num_subs: count() },
							...{ num_channels: count(), uptime: count("Seconds.") },
						},
						["uid", "name", "version", "num_clients", "num_users", "num_subs", "num_channels", "uptime"],
					),
					"One per shard.",
				),
			},
			["nodes"],
		),
	},
};

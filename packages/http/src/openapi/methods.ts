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
	limit: { ...count("Entries of one page, 10,000 at most; 0 = all without `cursor`, 10,000 with it."), maximum: 10_000 },
	cursor: { ...text("`next_cursor` of the page before."), maxLength: 255 },
};
const nextPage = { next_cursor: text("There are more: ask again with it as `cursor`.") };
const user = { ...text("Its id, of at most 255 bytes."), maxLength: 255 };
const target = {
	user: { ...text("All connections of this user, on all shards. At most 255 bytes."), maxLength: 255 },
	client: text("Only this one of them, by its client id."),
	session: text("Only this one of them, by its session id."),
};
const message = {
	data: any("The message; a string is sent as text, any other value byte for byte."),
	b64data: bytes("data"),
	tags: tableOf(text(), "For subscribers, and for their filters; 8 KiB at most."),
	idempotency_key: text("A second message with the same key into the same channel, within five minutes, is not published."),
	delta: flag("Subscribers that take deltas may get the difference to the message before."),
	skip_history: flag("It does not become part of the channel's history."),
};
const override = tableOf(table({ value: flag("On or off.") }), "Channel options for this subscription only, such as `presence`.");
const clientInfo = table({ client: text(), user: text(), conn_info: any("Of its token."), chan_info: any("Of its subscription token.") }, [
	"client",
	"user",
]);
const publication = table(
	{ data: any("The message."), offset: count(), info: clientInfo, tags: tableOf(text(), "As published.") },
	["data"],
	"A message that is kept.",
);
const position = table({ offset: count(), epoch: text() }, [], "Where the message is; empty without history.");
const problem = table({ code: count("As the protocol has it."), message: text() }, ["code", "message"]);

export const errorSchema = table({ error: problem }, ["error"]);

/** Request and result of every method, by name. The batch consists of the others. */
export const apiMethodDescriptions: Readonly<Record<Exclude<ApiMethodName, "batch">, MethodDescription>> = {
	publish: {
		summary: "Publishes a message into a channel, or to everybody.",
		request: table({ channel: text("Name of the channel; absent = everybody."), ...message }),
		result: position,
	},
	broadcast: {
		summary: "Publishes a message into each of several channels.",
		request: table({ channels: { ...listOf({ type: "string", minLength: 1 }, "Their names.", 1000), minItems: 1 }, ...message }, [
			"channels",
		]),
		result: table(
			{ responses: listOf({ anyOf: [table({ result: position }, ["result"]), errorSchema] }, "One for each channel, in order.") },
			["responses"],
		),
	},
	subscribe: {
		summary: "Subscribes the connections of a user.",
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
		summary: "Ends subscriptions of a user.",
		request: table({ ...target, channel }, ["user", "channel"]),
		result: nothing,
	},
	disconnect: {
		summary: "Closes connections of a user.",
		request: table(
			{
				...target,
				whitelist: listOf(text(), "Client ids of connections that stay.", 1000),
				disconnect: table(
					{ code: { type: "integer", minimum: 3000, maximum: 4999 }, reason: { type: "string", maxLength: 123 } },
					["code"],
					"Close code and reason; 3503 if not given, after which clients do not come back by themselves.",
				),
			},
			["user"],
		),
		result: nothing,
	},
	refresh: {
		summary: "Changes when connections of a user expire. Raw clients are not told.",
		request: table({ ...target, expired: flag("They are closed as expired."), expire_at: expireAt, ...info }, ["user"]),
		result: nothing,
	},
	presence: {
		summary: "Who is subscribed to a channel.",
		request: table({ channel }, ["channel"]),
		result: table({ presence: tableOf(clientInfo, "By client id.") }, ["presence"]),
	},
	presence_stats: {
		summary: "How many are subscribed to a channel.",
		request: table({ channel }, ["channel"]),
		result: table({ num_clients: count(), num_users: count() }, ["num_clients", "num_users"]),
	},
	history: {
		summary: "What a channel keeps.",
		request: table(
			{
				channel,
				limit: { type: "integer", description: "0 = the position only, negative = as many as are allowed." },
				since,
				reverse: flag("The newest first."),
			},
			["channel"],
		),
		result: table({ publications: listOf(publication, "In order."), epoch: text(), offset: count() }, ["publications", "epoch", "offset"]),
	},
	history_remove: {
		summary: "Forgets what a channel keeps; its offset and epoch go on.",
		request: table({ channel }, ["channel"]),
		result: nothing,
	},
	channels: {
		summary: "Channels with subscribers: all of them, 32,768 at most, or a page.",
		request: table({ pattern: { ...text("`*` stands for any text, `?` for one character."), maxLength: 255 }, ...page }),
		result: table({ channels: tableOf(table({ num_clients: count() }, ["num_clients"]), "By name."), ...nextPage }, ["channels"]),
	},
	connections: {
		summary: "Connections of a user: all of them, 32,768 at most, or a page.",
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
		summary: "Closes the connections of a user with 3507, on all shards, and lets nobody in as that user.",
		request: table({ user, expire_at: expireAt }, ["user"]),
		result: nothing,
	},
	unblock_user: {
		summary: "Lets a user in again.",
		request: table({ user }, ["user"]),
		result: nothing,
	},
	revoke_token: {
		summary: "Refuses a token from now on. Closes the connections that use it with 3500, and ends the subscriptions that use it.",
		request: table({ uid: text("Its claim `jti`."), expire_at: expireAt }, ["uid"]),
		result: nothing,
	},
	invalidate_user_tokens: {
		summary: "The same for all tokens of a user that were issued before a time, and those without the claim `iat`.",
		request: table({ user, issued_before: count("Seconds since 1970."), expire_at: expireAt }, ["user", "issued_before"]),
		result: nothing,
	},
	info: {
		summary: "The shards of the cluster.",
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
					"One for each shard.",
				),
			},
			["nodes"],
		),
	},
};

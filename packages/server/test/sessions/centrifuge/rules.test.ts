import { type Config, defaultConfig } from "@shardcast/config";
import { Centrifuge } from "centrifuge/build/protobuf";
import { describe, expect, it, vi } from "vitest";
import { type CentrifugeClient, CentrifugeRig } from "../../support/centrifuge-rig.ts";
import { tokenOf, tokenSecret } from "../../support/tokens.ts";

/**
 * Every rule of the protocol that one client can break within a moment, with the code that the reference gives, in both encodings. Those that take time
 * are in centrifuge-session.test.ts and subscription-tokens.test.ts.
 */

interface Command {
	readonly id?: number;
	readonly [method: string]: unknown;
}

interface Rule {
	readonly rule: string;
	/** Without `client.insecure` unless it is said. */
	readonly settings?: Partial<Config>;
	/** The claims of the connection token; null = the client has none. A user if not given. */
	readonly as?: object | null;
	/** Sent and answered before. */
	readonly after?: readonly Command[];
	/** Tokens are given by their claims. */
	readonly send: readonly Command[];
	/** Of the last command. */
	readonly error?: number;
	readonly close?: number;
}

const seconds = Math.floor(Date.now() / 1000);
const plain = defaultConfig().channelWithoutNamespace;
const open = { ...plain, allowSubscribeForClient: true, allowPublishForClient: true };
const all: Partial<Config> = { channelWithoutNamespace: open };
const kept = { ...open, historySize: 10, historyTtlMs: 60_000, forceRecovery: true, allowHistoryForClient: true };
const withHistory: Partial<Config> = { channelWithoutNamespace: kept };
const noOne: Partial<Config> = { channelWithoutNamespace: { ...kept, ...plain, historySize: 10, historyTtlMs: 60_000, presence: true } };
const insecure: Partial<Config> = { clientInsecure: true };
const subscribe = (channel: string, more: object = {}): Command => ({ id: 2, subscribe: { channel, ...more } });
const names = (count: number) => Array.from({ length: count }, (_, index) => `c${index}`);
const ofChannel = ["subscribe", "unsubscribe", "publish", "presence", "presence_stats", "history", "sub_refresh"];
const data = { a: 1 };

const rules: readonly Rule[] = [
	// The order of commands.
	...[...ofChannel, "rpc", "refresh"].map((method) => ({
		rule: `${method} before connect`,
		as: null,
		send: [{ id: 1, [method]: { channel: "a", token: "x", method: "m", ...(method === "publish" && { data }) } }],
		close: 3501,
	})),
	{ rule: "send before connect", as: null, send: [{ send: { data } }], close: 3501 },
	{ rule: "a pong before connect", as: null, send: [{}], close: 3501 },
	{ rule: "a second connect", send: [{ id: 2, connect: {} }], close: 3501 },
	{
		rule: "a command after a connect that failed",
		as: null,
		send: [{ id: 1, connect: { token: { exp: 1 } } }, subscribe("a")],
		close: 3501,
	},
	{ rule: "an answer to no ping", send: [{}], close: 3501 },
	{ rule: "no method", send: [{ id: 2 }], close: 3501 },
	...[...ofChannel, "rpc", "refresh"].map((method) => ({
		rule: `${method} with id 0`,
		send: [{ [method]: { channel: "a", token: "x" } }],
		close: 3501,
	})),
	// Who connects.
	{ rule: "no credentials", as: null, send: [{ id: 1, connect: {} }], close: 3501 },
	{ rule: "a connection token that has expired", as: null, send: [{ id: 1, connect: { token: { exp: seconds - 9 } } }], error: 109 },
	{ rule: "one that is not valid yet", as: null, send: [{ id: 1, connect: { token: { nbf: seconds + 99 } } }], error: 109 },
	{ rule: "one whose connection has ended", as: null, send: [{ id: 1, connect: { token: { expire_at: seconds - 9 } } }], error: 110 },
	{ rule: "one that is none", as: null, send: [{ id: 1, connect: { token: "x" } }], close: 3500 },
	{ rule: "one that is none, in insecure mode", settings: insecure, as: null, send: [{ id: 1, connect: { token: "x" } }], close: 3500 },
	{ rule: "the token of a subscription", as: null, send: [{ id: 1, connect: { token: { channel: "a" } } }], close: 3500 },
	{
		rule: "a token without a user where it needs one",
		settings: { disallowAnonymousTokens: true },
		as: null,
		send: [{ id: 1, connect: { token: {} } }],
		close: 3507,
	},
	{ rule: "a token for a namespace that is none", as: null, send: [{ id: 1, connect: { token: { channels: ["no:1"] } } }], error: 102 },
	{ rule: "a token for 129 channels", as: null, send: [{ id: 1, connect: { token: { channels: names(129) } } }], close: 3505 },
	{ rule: "asking for a namespace that is none", as: null, send: [{ id: 1, connect: { token: {}, subs: { "no:1": {} } } }], close: 3501 },
	{ rule: "refresh without a token", send: [{ id: 2, refresh: {} }], close: 3501 },
	{ rule: "refresh with a token that is none", send: [{ id: 2, refresh: { token: "x" } }], close: 3500 },
	{ rule: "refresh with one that has expired", send: [{ id: 2, refresh: { token: { sub: "ann", exp: seconds - 9 } } }], close: 3005 },
	{ rule: "refresh with another user's", send: [{ id: 2, refresh: { token: { sub: "bob" } } }], close: 3500 },
	{ rule: "refresh with other channels", send: [{ id: 2, refresh: { token: { sub: "ann", channels: ["a"] } } }], close: 3010 },
	// Names of channels.
	...ofChannel.map((method) => ({
		rule: `${method} without a channel`,
		send: [{ id: 2, [method]: { ...(method === "publish" && { data }) } }],
		close: 3501,
	})),
	...["subscribe", "publish", "presence", "presence_stats", "history"].flatMap((method) => [
		{
			rule: `${method} in a namespace that does not exist`,
			settings: insecure,
			send: [{ id: 2, [method]: { channel: "no:where", ...(method === "publish" && { data }) } }],
			error: 102,
		},
		{
			rule: `${method} of a name that is not ASCII`,
			settings: insecure,
			send: [{ id: 2, [method]: { channel: "é", ...(method === "publish" && { data }) } }],
			error: 107,
		},
	]),
	{ rule: "a name of 256 bytes", settings: all, send: [subscribe("x".repeat(256))], error: 107 },
	{
		rule: "a name that does not match the regular expression",
		settings: { channelWithoutNamespace: { ...open, channelRegex: "^[a-z]+$" } },
		send: [subscribe("a1")],
		error: 107,
	},
	// Rights.
	{ rule: "subscribing without the right", send: [subscribe("a")], error: 103 },
	{ rule: "subscribing as nobody where users may", settings: all, as: {}, send: [subscribe("a")], error: 103 },
	{ rule: "a private channel without a token", settings: insecure, send: [subscribe("$a")], error: 103 },
	{
		rule: "a channel of other users",
		settings: { channelWithoutNamespace: { ...open, allowUserLimitedChannels: true } },
		send: [subscribe("a#bob,cat")],
		error: 103,
	},
	{ rule: "publishing without the right", send: [{ id: 2, publish: { channel: "a", data } }], error: 103 },
	{ rule: "history without the right", settings: noOne, send: [{ id: 2, history: { channel: "a" } }], error: 103 },
	{ rule: "presence without the right", settings: noOne, send: [{ id: 2, presence: { channel: "a" } }], error: 103 },
	{ rule: "presence_stats without the right", settings: noOne, send: [{ id: 2, presence_stats: { channel: "a" } }], error: 103 },
	{
		rule: "publishing where clients only receive",
		settings: { ...all, clientPublish: "off" },
		send: [{ id: 2, publish: { channel: "a", data } }],
		error: 103,
	},
	// What is switched off.
	{ rule: "history that is not kept", settings: insecure, send: [{ id: 2, history: { channel: "a" } }], error: 108 },
	{ rule: "presence that is not kept", settings: insecure, send: [{ id: 2, presence: { channel: "a" } }], error: 108 },
	{ rule: "presence_stats that are not kept", settings: insecure, send: [{ id: 2, presence_stats: { channel: "a" } }], error: 108 },
	{ rule: "a call without any handler", send: [{ id: 2, rpc: { method: "m", data } }], error: 108 },
	{ rule: "a message without a handler", send: [{ send: { data } }], close: 3508 },
	// Subscriptions.
	{ rule: "a second subscription", settings: all, after: [subscribe("a")], send: [subscribe("a")], error: 105 },
	{ rule: "a 129th channel", settings: all, after: names(128).map((name) => subscribe(name)), send: [subscribe("a")], error: 106 },
	{
		rule: "a position that is lost, and not wanted otherwise",
		settings: withHistory,
		send: [subscribe("a", { recover: true, epoch: "_", flag: 2 })],
		error: 112,
	},
	{
		rule: "a subscription token that has expired",
		send: [subscribe("$a", { token: { sub: "ann", channel: "$a", exp: seconds - 9 } })],
		error: 109,
	},
	{
		rule: "one whose subscription has ended",
		send: [subscribe("$a", { token: { sub: "ann", channel: "$a", expire_at: seconds - 9 } })],
		error: 110,
	},
	{ rule: "one that is none", send: [subscribe("$a", { token: "x" })], error: 103 },
	{ rule: "one without a channel", send: [subscribe("$a", { token: { sub: "ann" } })], error: 103 },
	{ rule: "one for another channel", send: [subscribe("$a", { token: { sub: "ann", channel: "$b" } })], close: 3500 },
	{ rule: "one for another user", send: [subscribe("$a", { token: { sub: "bob", channel: "$a" } })], close: 3500 },
	{ rule: "one for another client", send: [subscribe("$a", { token: { sub: "ann", channel: "$a", client: "c" } })], close: 3500 },
	{ rule: "sub_refresh of no subscription", settings: all, send: [{ id: 3, sub_refresh: { channel: "a", token: "x" } }], error: 103 },
	{
		rule: "sub_refresh without a token",
		settings: all,
		after: [subscribe("a")],
		send: [{ id: 3, sub_refresh: { channel: "a" } }],
		error: 107,
	},
	{
		rule: "sub_refresh with a token that is none",
		settings: all,
		after: [subscribe("a")],
		send: [{ id: 3, sub_refresh: { channel: "a", token: "x" } }],
		close: 3500,
	},
	{
		rule: "sub_refresh with one that has expired",
		settings: all,
		after: [subscribe("a")],
		send: [{ id: 3, sub_refresh: { channel: "a", token: { sub: "ann", channel: "a", exp: seconds - 9 } } }],
		error: 109,
	},
	{
		rule: "sub_refresh with one for another channel",
		settings: all,
		after: [subscribe("a")],
		send: [{ id: 3, sub_refresh: { channel: "a", token: { sub: "ann", channel: "b" } } }],
		close: 3500,
	},
	{
		rule: "sub_refresh of a server-side subscription",
		as: { sub: "ann", channels: ["a"] },
		send: [{ id: 3, sub_refresh: { channel: "a", token: "x" } }],
		close: 3501,
	},
	// Publishing and history.
	{ rule: "publishing nothing", settings: all, send: [{ id: 2, publish: { channel: "a" } }], close: 3501 },
	{
		rule: "publishing above the rate",
		settings: { ...all, messageRate: 1 },
		after: [{ id: 2, publish: { channel: "a", data } }],
		send: [{ id: 3, publish: { channel: "a", data } }],
		error: 111,
	},
	{
		rule: "a history of another epoch",
		settings: withHistory,
		send: [{ id: 2, history: { channel: "a", limit: 1, since: { offset: 1, epoch: "x" } } }],
		error: 112,
	},
	{
		rule: "a history backwards from nowhere",
		settings: withHistory,
		send: [{ id: 2, history: { channel: "a", limit: 1, reverse: true, since: { offset: 0, epoch: "" } } }],
		error: 107,
	},
	{
		rule: "more than 64 KiB in a frame",
		settings: all,
		send: [{ id: 2, publish: { channel: "a", data: "x".repeat(66_000) } }],
		close: 1009,
	},
];

interface Encoding {
	readonly name: string;
	readonly query: string;
	encode(commands: readonly Command[]): Uint8Array;
	decode(frame: Uint8Array): { readonly id: number; readonly error?: { readonly code: number } | null }[];
}

/** The library's own codec. */
const codec = (
	new Centrifuge("ws://127.0.0.1:1") as unknown as {
		_codec: { encodeCommands(all: object[]): Uint8Array; decodeReplies(frame: Uint8Array): never[] };
	}
)._codec;
/** Payloads as bytes. */
const inProtobuf = (value: unknown, key = ""): unknown => {
	if (key === "data") return Buffer.from(JSON.stringify(value));
	if (typeof value !== "object" || value === null) return value;
	return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, inProtobuf(each, name)]));
};
const encodings: readonly Encoding[] = [
	{
		name: "JSON",
		query: "",
		encode: (commands) => Buffer.from(commands.map((command) => JSON.stringify(command)).join("\n")),
		decode: (frame) =>
			Buffer.from(frame)
				.toString()
				.split("\n")
				.map((line) => JSON.parse(line) as never),
	},
	{
		name: "Protobuf",
		query: "cf_protocol=protobuf",
		encode: (commands) => codec.encodeCommands(commands.map((command) => inProtobuf(command) as object)),
		decode: (frame) => codec.decodeReplies(frame),
	},
];

/** Tokens instead of claims. */
async function signed(command: Command): Promise<Command> {
	const entries = Object.entries(command).map(async ([method, request]) => {
		const claims = (request as { token?: unknown }).token;
		if (typeof claims !== "object" || claims === null) return [method, request];
		return [method, { ...(request as object), token: await tokenOf(claims as never) }];
	});
	return Object.fromEntries(await Promise.all(entries)) as Command;
}

describe.each(encodings)("a client that breaks a rule, in $name", ({ query, encode, decode }) => {
	async function send(client: CentrifugeClient, commands: readonly Command[]): Promise<void> {
		client.session.frame(new Uint8Array(encode(await Promise.all(commands.map(signed)))).buffer);
		await vi.waitFor(() => expect(client.session.backlog === null || client.session.leaving !== 0).toBe(true), {
			timeout: 8_000,
			interval: 1,
		});
	}

	it.each(rules)("$rule", async ({ settings = {}, as = { sub: "ann" }, after = [], send: commands, error, close }) => {
		const rig = new CentrifugeRig({ clientInsecure: false, tokenHmacSecret: tokenSecret, messageRate: 10_000, ...settings });
		const client = rig.open(query);
		const sent = vi.spyOn(client.transport, "send");
		if (as !== null) await send(client, [{ id: 1, connect: { token: as } }]);
		if (after.length > 0) await send(client, after);
		const replies = () => sent.mock.calls.flatMap(([frame]) => decode(frame as Uint8Array));
		expect(replies().filter((reply) => reply.error)).toEqual([]);
		sent.mockClear();
		await send(client, commands);
		expect(client.session.leaving).toBe(close ?? 0);
		const last = replies().at(-1);
		if (error === undefined) expect((await client.ended).code).toBe(close);
		else {
			expect(last?.error?.code).toBe(error);
			expect(last?.id).toBe(commands.at(-1)!.id);
			client.transport.peer.leave(1000);
		}
		expect(rig.kept).toBe(0);
	});
});

it.each<[string, string]>([
	["an empty frame", ""],
	["a blank line", '{"id":1,"connect":{}}\n\n{"id":2,"rpc":{}}'],
	["no JSON", "connect"],
	["a list", "[]"],
	["half a command", '{"id":1,'],
	["an unknown method", '{"id":1,"connect":{}}\n{"id":2,"dance":{}}'],
])("JSON: %s closes the connection with 3501", async (_what, frame) => {
	const client = new CentrifugeRig(insecure).open();
	client.send(frame);
	expect(await client.ended).toEqual({ code: 3501, reason: "bad request" });
});

it.each<[string, number[]]>([
	["an empty frame", []],
	["a length beyond the frame", [9, 8, 1]],
	["a length that never ends", [255, 255, 255, 255, 255, 255]],
	["a field that is cut", [2, 0x22, 9]],
])("Protobuf: %s closes the connection with 3501", async (_what, bytes) => {
	const client = new CentrifugeRig(insecure).open("cf_protocol=protobuf");
	client.session.frame(new Uint8Array(bytes).buffer);
	expect(await client.ended).toEqual({ code: 3501, reason: "bad request" });
});

it("unsubscribing without a subscription and a trailing line feed are no errors", () => {
	const client = new CentrifugeRig(insecure).open();
	client.send('{"id":1,"connect":{}}\n{"id":2,"unsubscribe":{"channel":"never"}}\n');
	expect(client.replies()).toMatchObject([{ id: 1 }, { id: 2, unsubscribe: {} }]);
});

import { type Config, ConfigError } from "@shardcast/config";
import { silentLog } from "@shardcast/telemetry";
import { expect, it } from "vitest";
import { checkedConfig } from "../../src/library/checked-config.ts";
import type { Message } from "../../src/library/message.ts";
import { logging } from "../../src/library/middleware-logging.ts";
import { recovery } from "../../src/library/middleware-recovery.ts";
import { reloadedConfig } from "../../src/library/reload.ts";
import { createServer, type PublishTarget, type Session } from "../../src/library/server.ts";
import type { Users } from "../../src/library/users.ts";

const server = () => createServer({ addr: "127.0.0.1:0" }, { log: silentLog(), statusLine: false });

it.each<[unknown, string]>([
	[{ chanel: "a" }, 'publish does not know "chanel"; did you mean "channel"?'],
	[
		{ channel: "a", room: "b" },
		'publish does not know "room"; there are channel, channels, tags, idempotencyKey, delta, priority, traceparent, tracestate',
	],
	["news", "publish takes its target as an object, such as { channel: … }, not a string"],
	[["news"], "publish takes its target as an object, such as { channel: … }, not an array"],
	[null, "publish takes its target as an object, such as { channel: … }, not null"],
	[{ channel: undefined }, "channel is undefined; leave it out to send to everybody"],
	[{ channel: 5 }, "channel must be a string, not a number"],
	[{ channel: ["a"] }, "channel must be a string, not an array"],
	[{ channels: "ab" }, "channels must be a list of strings, not a string"],
	[{ channels: ["a", 5] }, "channels must be a list of strings, not an array"],
	[{ channels: undefined }, "channels is undefined; leave it out to send to everybody"],
	[{ tags: { a: 1 } }, "tags must be an object of strings, not an object"],
	[{ tags: "a" }, "tags must be an object of strings, not a string"],
	[{ channel: "a", idempotencyKey: "" }, "idempotencyKey must be a non-empty string, not a string"],
	[{ priority: "urgent" }, 'priority must be "normal" or "high", not "urgent"'],
	[{ priority: 1 }, 'priority must be "normal" or "high", not a number'],
	[{ channel: "a", idempotencyKey: 5 }, "idempotencyKey must be a non-empty string, not a number"],
])("publish to %j is an error, not a message without a channel", (target, message) => {
	expect(() => server().publish("x", target as PublishTarget)).toThrow(new TypeError(message));
});

it.each<[readonly unknown[], string]>([
	[[7], "clientIp must be a string, not a number"],
	[["10.0.0.1", null], "userId must be a string, not null"],
	[["10.0.0.1", "ann", { regoin: "eu" }], 'selectNode does not know "regoin"; did you mean "region"?'],
	[["10.0.0.1", "ann", { region: 7 }], "region must be a string, not a number"],
	[["10.0.0.1", "ann", { avoid: "n1" }], "avoid must be a list of node ids, not a string"],
	[["10.0.0.1", { region: "eu" }], "userId must be a string, not an object"],
])("selectNode with %j is an error, not another node", (args, message) => {
	expect(() => server().selectNode(...(args as [string]))).toThrow(new TypeError(message));
});

it("without Redis there is no node to select, and no session", async () => {
	const alone = "this server works alone: it has no Redis (redisAddress)";
	await expect(server().selectNode("10.0.0.1")).rejects.toThrow(alone);
	await expect(server().assignSession({ user: "ann" })).rejects.toThrow(alone);
});

it.each<[unknown, Error]>([
	[{}, new TypeError("a session has a user, a connection, or both")],
	["ann", new TypeError("assignSession takes a session as an object, such as { user: … }, not a string")],
	[{ usr: "ann" }, new TypeError('assignSession does not know "usr"; did you mean "user"?')],
	[{ user: 7 }, new TypeError("user must be a string, not a number")],
	[{ user: "\ud800" }, new TypeError("user is not well-formed Unicode")],
	[{ user: "ann", address: "\ud800" }, new TypeError("address is not well-formed Unicode")],
	[{ user: "ä".repeat(128) }, new RangeError("user has more than 255 bytes")],
	[{ connection: "x".repeat(257) }, new RangeError("connection has more than 256 characters")],
	[{ user: "ann", metadata: "x".repeat(4095) }, new RangeError("metadata has more than 4096 bytes")],
	[{ user: "ann", metadata: () => 1 }, new TypeError("metadata must be a value that JSON can express, not a function")],
])("assignSession of %j is an error", (session, error) => {
	expect(() => server().assignSession(session as Session)).toThrow(error);
});

it("tags are limited", () => {
	expect(() => server().publish("x", { tags: { a: "x".repeat(9000) } })).toThrow(
		new RangeError("the tags have more than 8192 bytes as JSON"),
	);
});

it.each<[unknown, string]>([
	[{ a: 1 }, "an object"],
	[5, "a number"],
	[undefined, "undefined"],
	[[1, 2], "an array"],
	[new Float64Array(2), "a Float64Array"],
	[new ArrayBuffer(2), "an ArrayBuffer"],
])("publish(%j) says what it accepts", (message, what) => {
	expect(() => server().publish(message as string)).toThrow(new TypeError(`publish takes a string or a Uint8Array, not ${what}`));
});

it("publish before run is an error, since nobody would get the message", () => {
	const notYet = "the server is not running yet; await run() first";
	expect(() => server().publish("x")).toThrow(notYet);
	expect(() => server().broadcast({ type: "a", payload: 1 })).toThrow(notYet);
	expect(() => server().broadcastToUser("ann", { type: "a", payload: 1, priority: "high" })).toThrow(notYet);
	expect(() => server().broadcastToRoom("lobby", { type: "a", payload: null })).toThrow(notYet);
});

it.each<[unknown, string]>([
	["hello", "broadcast takes a message as an object, such as { type: … }, not a string"],
	[{ payload: 1 }, "type must be a non-empty string, not undefined"],
	[{ type: "", payload: 1 }, "type must be a non-empty string, not an empty one"],
	[{ type: 7, payload: 1 }, "type must be a non-empty string, not a number"],
	[{ type: "a" }, "payload must be a value that JSON can express, not undefined"],
	[{ type: "a", payload: () => 1 }, "payload must be a value that JSON can express, not a function"],
	[{ type: "a", payload: 1n }, "payload must be a value that JSON can express: Do not know how to serialize a BigInt"],
	[{ type: "a", payload: 1, prio: "high" }, 'broadcast does not know "prio"; there are type, payload, priority'],
	[{ type: "a", payload: 1, priority: "low" }, 'priority must be "normal" or "high", not "low"'],
])("broadcast of %s is an error", (message, words) => {
	expect(() => server().broadcast(message as Message)).toThrow(new TypeError(words));
});

it("broadcast: what is too long is an error; a room is a channel, and a user is a user id", () => {
	const message = { type: "a", payload: 1 };
	expect(() => server().broadcast({ ...message, type: "x".repeat(129) })).toThrow(
		new RangeError("the type has 129 characters; the most is 128"),
	);
	expect(() => server().broadcastToUser("", message)).toThrow(new TypeError("user must be a non-empty string, not an empty one"));
	expect(() => server().broadcastToUser("\ud800", message)).toThrow(new TypeError("user is not well-formed Unicode"));
	expect(() => server().broadcastToUser("ä".repeat(128), message)).toThrow(new RangeError("user has more than 255 bytes"));
	expect(() => server().broadcastToRoom(7 as never, message)).toThrow(new TypeError("channel must be a string, not a number"));
	expect(() => server().broadcastToRoom(undefined as never, message)).toThrow(TypeError);
});

it.each<[string, (users: Users) => Promise<unknown>, Error]>([
	["blockUser without a user", (users) => users.blockUser(""), new TypeError("user must be a non-empty string, not an empty one")],
	["blockUser with a long id", (users) => users.blockUser("ä".repeat(128)), new RangeError("user has more than 255 bytes")],
	[
		"a misspelt option",
		(users) => users.blockUser("ann", { expiresAt: 1 } as object),
		new TypeError('blockUser does not know "expiresAt"; did you mean "expireAt"?'),
	],
	[
		"a time that is none",
		(users) => users.revokeToken("t", { expireAt: Number.NaN }),
		new TypeError("expireAt must be a number of seconds since 1970, not NaN"),
	],
	["unblockUser of a number", (users) => users.unblockUser(7 as never), new TypeError("user must be a non-empty string, not a number")],
	["revokeToken without an id", (users) => users.revokeToken(""), new TypeError("revokeToken takes the id (jti) of a token")],
	["a long id of a token", (users) => users.revokeToken("x".repeat(256)), new RangeError("the id has more than 255 characters")],
	[
		"invalidateUserTokens without a time",
		(users) => users.invalidateUserTokens("ann", undefined as never),
		new TypeError("issuedBefore must be a number of seconds since 1970"),
	],
	[
		"refresh with a misspelt option",
		async (users) => users.refresh({ user: "ann" }, { expire: 1 } as object),
		new TypeError('refresh does not know "expire"; did you mean "expired"?'),
	],
])("%s is an error", async (_what, call, error) => {
	await expect(async () => call(server().users)).rejects.toThrow(error);
});

it("an unknown option is an error", () => {
	expect(() => createServer({}, { midleware: [] } as object)).toThrow(
		new TypeError('createServer does not know "midleware"; did you mean "middleware"?'),
	);
	expect(() => logging({ every: 5 } as object)).toThrow(new TypeError('logging does not know "every"; did you mean "everyMs"?'));
	expect(() => recovery({ onEror: () => {} } as object)).toThrow(new TypeError('recovery does not know "onEror"; did you mean "onError"?'));
});

it.each([
	["idleTimeout", "idleTimeoutMs"],
	["maxPayload", "maxPayloadBytes"],
	["idle_timeout", "idleTimeoutMs"],
	["max-buffered", "maxBufferedBytes"],
	["queue_max_size", "maxBufferedBytes"],
	["apikey", "apiKey"],
])("the option %s is not known; did you mean %s?", (key, meant) => {
	const given = { [key]: 5 } as Partial<Config>;
	const message = `${key}: there is no such option; did you mean ${meant}?`;
	expect(() => checkedConfig(given)).toThrow(new ConfigError([message]));
	expect(() => reloadedConfig(checkedConfig({}), given)).toThrow(new ConfigError([message]));
});

it.each([Number.NaN, -1, 5e9, "1000", null])("%s ms is not a valid interval for log lines", (everyMs) => {
	for (const [name, make] of Object.entries({ logging, recovery }))
		expect(() => make({ everyMs } as object)).toThrow(
			new RangeError(`${name}: everyMs is ${everyMs}; it must be in milliseconds, from 0 to 2147483647`),
		);
});

it("0 and fractions are valid intervals for log lines", () => {
	for (const make of [logging, recovery])
		for (const options of [{ everyMs: 0 }, { everyMs: 0.5 }, {}]) expect(() => make(options)).not.toThrow();
});

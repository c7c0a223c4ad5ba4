import { describe, expect, it } from "vitest";
import { jsonCodec, replyErrors, sseFrame } from "../../src/index.ts";
import type { Push } from "../../src/messages/push.ts";
import type { Reply } from "../../src/messages/reply.ts";

const bytes = (text: string): Uint8Array => Buffer.from(text);
const text = (encoded: Uint8Array): string => Buffer.from(encoded).toString();
const reply = (message: Reply): string => text(jsonCodec.encodeReply(message));
const push = (message: Push): string => text(jsonCodec.encodePush(message));

describe("JSON replies", () => {
	it.each<[Reply, string]>([
		[{}, "{}"],
		[
			{
				id: 1,
				connect: { client: "u-u", version: "1", ping: 25, pong: true, expires: true, ttl: 60, data: bytes("{}"), session: "s", node: "n" },
			},
			'{"id":1,"connect":{"client":"u-u","version":"1","expires":true,"ttl":60,"data":{},"ping":25,"pong":true,"session":"s","node":"n"}}',
		],
		[{ id: 1, connect: { subs: new Map([['a"b', { recoverable: true }]]) } }, '{"id":1,"connect":{"subs":{"a\\"b":{"recoverable":true}}}}'],
		[{ id: 2, subscribe: {} }, '{"id":2,"subscribe":{}}'],
		[
			{
				id: 3,
				subscribe: {
					recoverable: true,
					positioned: true,
					wasRecovering: true,
					recovered: true,
					epoch: "x7",
					offset: 14,
					publications: [{ data: bytes('{"a":1}'), offset: 15 }],
				},
			},
			'{"id":3,"subscribe":{"recoverable":true,"epoch":"x7","publications":[{"data":{"a":1},"offset":15}],"recovered":true,"offset":14,"positioned":true,"was_recovering":true}}',
		],
		[{ id: 3, subscribe: { recoverable: false, epoch: "", offset: 0, publications: [] } }, '{"id":3,"subscribe":{}}'],
		[{ id: 4, unsubscribe: {} }, '{"id":4,"unsubscribe":{}}'],
		[{ id: 5, publish: {} }, '{"id":5,"publish":{}}'],
		[
			{ id: 6, presence: { presence: new Map([["c1", { client: "c1", user: "u", connInfo: bytes("{}"), chanInfo: bytes("[1]") }]]) } },
			'{"id":6,"presence":{"presence":{"c1":{"user":"u","client":"c1","conn_info":{},"chan_info":[1]}}}}',
		],
		[{ id: 6, presence: { presence: new Map() } }, '{"id":6,"presence":{"presence":{}}}'],
		[{ id: 7, presenceStats: { numClients: 0, numUsers: 0 } }, '{"id":7,"presence_stats":{"num_clients":0,"num_users":0}}'],
		[{ id: 8, history: { publications: [], epoch: "", offset: 0 } }, '{"id":8,"history":{"publications":[],"epoch":"","offset":0}}'],
		[{ id: 9, rpc: { data: bytes("{}") } }, '{"id":9,"rpc":{"data":{}}}'],
		[{ id: 10, refresh: { expires: true, ttl: 60 } }, '{"id":10,"refresh":{"expires":true,"ttl":60}}'],
		[{ id: 11, subRefresh: { expires: true, ttl: 60 } }, '{"id":11,"sub_refresh":{"expires":true,"ttl":60}}'],
		[{ id: 2, error: replyErrors[103] }, '{"id":2,"error":{"code":103,"message":"permission denied"}}'],
		[{ id: 2, error: replyErrors[111] }, '{"id":2,"error":{"code":111,"message":"too many requests","temporary":true}}'],
		[
			{
				push: {
					channel: "c",
					pub: { data: bytes("null"), offset: 2 ** 53 - 1, tags: new Map([["k", "v"]]), info: { user: "", client: "x" } },
				},
			},
			'{"push":{"channel":"c","pub":{"data":null,"info":{"user":"","client":"x"},"offset":9007199254740991,"tags":{"k":"v"}}}}',
		],
		[
			{ push: { channel: "c", join: { info: { user: "u", client: "x" } } } },
			'{"push":{"channel":"c","join":{"info":{"user":"u","client":"x"}}}}',
		],
		[
			{ push: { channel: "c", leave: { info: { user: "u", client: "x" } } } },
			'{"push":{"channel":"c","leave":{"info":{"user":"u","client":"x"}}}}',
		],
		[
			{ push: { channel: "c", unsubscribe: { code: 2500, reason: "insufficient state" } } },
			'{"push":{"channel":"c","unsubscribe":{"code":2500,"reason":"insufficient state"}}}',
		],
		[
			{ push: { channel: "c", subscribe: { recoverable: true, epoch: "x7", offset: 1, positioned: true } } },
			'{"push":{"channel":"c","subscribe":{"recoverable":true,"epoch":"x7","offset":1,"positioned":true}}}',
		],
		[{ push: { message: { data: bytes("1") } } }, '{"push":{"message":{"data":1}}}'],
		[{ push: { refresh: { expires: true, ttl: 9 } } }, '{"push":{"refresh":{"expires":true,"ttl":9}}}'],
		[{ push: { disconnect: { code: 3000, reason: "bye" } } }, '{"push":{"disconnect":{"code":3000,"reason":"bye"}}}'],
	])("%j", (message, expected) => {
		expect(reply(message)).toBe(expected);
		if (message.push) expect(push(message.push), "bare").toBe(expected.slice('{"push":'.length, -1));
	});

	it("carry payloads byte for byte, but on one line", () => {
		const payload = '{\r\n\t"n": 1.10,\n\t"text": "a\\nb  é"\n}';
		expect(reply({ id: 1, rpc: { data: bytes(payload) } })).toBe('{"id":1,"rpc":{"data":{\t"n": 1.10,\t"text": "a\\nb  é"}}}');
	});

	it("are not affected by a reply that could not be encoded, nor by a large one", () => {
		expect(() => reply({ id: 1, connect: { subs: new Map([["a", null as never]]) } })).toThrow(TypeError);
		const large = `"${"é".repeat(1_000_000)}"`;
		expect(reply({ id: 1, rpc: { data: bytes(large) } })).toBe(`{"id":1,"rpc":{"data":${large}}}`);
		expect(reply({ id: 1 })).toBe('{"id":1}');
		const first = jsonCodec.encodeReply({ id: 1 });
		jsonCodec.encodeReply({ id: 2 });
		expect(text(first), "its bytes are its own").toBe('{"id":1}');
	});

	it("are framed as each transport requires", () => {
		const messages = [bytes('{"id":1}'), bytes("{}")];
		expect(text(jsonCodec.webSocketFrame(messages))).toBe('{"id":1}\n{}');
		expect(jsonCodec.webSocketFrame([messages[0]]), "no copy").toBe(messages[0]);
		expect(text(jsonCodec.streamFrame(messages))).toBe('{"id":1}\n{}\n');
		expect(text(sseFrame(messages))).toBe('data: {"id":1}\n\ndata: {}\n\n');
		expect(text(jsonCodec.ping)).toBe("{}");
	});
});

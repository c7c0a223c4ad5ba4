import type { MessageDetails } from "@shardcast/bus";
import { publishAccepted } from "@shardcast/wire";
import { describe, expect, it } from "vitest";
import { RedisMessages } from "../../src/redis/redis-messages.ts";

/** What the shard publishes of the messages that come from Redis. */
function rig() {
	const published: string[] = [];
	const details: (MessageDetails | undefined)[] = [];
	const warnings: string[] = [];
	const waiting: (() => void)[] = [];
	const state = { waits: false };
	const messages = new RedisMessages({
		incoming: {
			publish: (_kind, channels, payload, _from, source, each) => {
				published.push(`${channels.names.join()} ${Buffer.from(payload).toString()} ${source}`);
				details.push(each);
				return state.waits ? new Promise((resolve) => waiting.push(() => resolve(publishAccepted))) : publishAccepted;
			},
			direct: ({ user, payload, urgent, nodeOnly }) => {
				published.push(`to ${user} ${Buffer.from(payload).toString()} ${urgent} ${nodeOnly}`);
				return publishAccepted;
			},
		},
		counters: { add: () => {} },
		payloadBytesMax: 100,
		nowMs: () => 0,
		isShared: (channel) => channel.startsWith("kept"),
		bytesMax: 1000,
		log: { warn: (text: unknown) => void warnings.push(String(text)) },
	});
	const take = async (message: unknown) => {
		messages.take(Buffer.isBuffer(message) ? message : Buffer.from(typeof message === "string" ? message : JSON.stringify(message)));
		await new Promise(setImmediate);
		await new Promise(setImmediate);
	};
	return { messages, published, details, warnings, take, state, waiting };
}

describe("messages that backends publish to Redis", () => {
	it("publish and broadcast, several on a line each: in order, for this node's clients alone", async () => {
		const { take, published, details, messages } = rig();
		await take({ method: "publish", params: { channel: "news", data: { a: 1 } } });
		await take(
			'{"method":"publish","params":{"data":"all"}}\n{"method":"broadcast","params":{"channels":["a","b"],"data":2,"idempotency_key":"k"}}',
		);
		expect(published).toEqual(['news {"a":1} redis', " all redis", "a 2 redis", "b 2 redis"]);
		expect(details.map((each) => each?.nodeOnly)).toEqual([true, true, true, true]);
		expect(messages.counts).toEqual({ accepted: 3, refused: 0, unreadable: 0, tooLong: 0, busy: 0 });
	});

	it("messages to a user and to all, with type and priority, for this node's clients alone", async () => {
		const { take, published, details, messages } = rig();
		await take({ method: "send_to_user", params: { user: "ann", type: "hi", data: { a: 1 }, priority: "high" } });
		await take({ method: "send_to_all", params: { type: "bye", data: 1 } });
		await take({ method: "publish", params: { channel: "room", type: "hi", data: "x", priority: "high" } });
		await take({ method: "send_to_user", params: { type: "hi", data: 1 } });
		expect(published).toEqual([
			'to ann {"type":"hi","payload":{"a":1}} true true',
			'to null {"type":"bye","payload":1} false true',
			'room {"type":"hi","payload":"x"} redis',
		]);
		expect(details).toEqual([{ urgent: true, nodeOnly: true }]);
		expect(messages.counts).toMatchObject({ accepted: 3, refused: 1 });
	});

	it("a channel with history needs an idempotency key, since every node publishes the message", async () => {
		const { take, published, messages, warnings } = rig();
		await take({ method: "publish", params: { channel: "kept", data: 1 } });
		await take({ method: "broadcast", params: { channels: ["plain", "kept"], data: 2 } });
		await take({ method: "publish", params: { channel: "kept", data: 3, idempotency_key: "k" } });
		await take({ method: "publish", params: { channel: "kept", data: 4, skip_history: true } });
		expect(published).toEqual(["plain 2 redis", "kept 3 redis", "kept 4 redis"]);
		expect(messages.counts).toMatchObject({ accepted: 2, refused: 2 });
		expect(warnings).toEqual([
			expect.stringContaining("was not delivered: error 107: bad request: a channel with history needs an idempotency_key here:"),
		]);
	});

	it("the log says why in plain words: no JSON in it, for a broadcast the first reason, and for what is not JSON the place", async () => {
		const logged = async (message: unknown) => {
			const { take, warnings } = rig();
			await take(message);
			return warnings;
		};
		expect(await logged({ method: "broadcast", params: { channels: ["plain", "kept"], data: 2 } })).toEqual([
			expect.stringContaining("was not delivered: error 107: bad request: a channel with history"),
		]);
		expect(await logged({ method: "publish", params: { chanel: "a", data: 1 } })).toEqual([
			expect.stringMatching(/was not delivered: error 107: bad request: "chanel" is not known/),
		]);
		expect(await logged('{"method": "publish"}\nhello')).toEqual([
			expect.stringContaining("was not delivered: line 2 is not JSON: h is not expected at byte 0 of the line"),
		]);
	});

	it("at most 256 are in progress, and none is longer than a request may be", async () => {
		const { take, messages, state, waiting } = rig();
		state.waits = true;
		const message = { method: "publish", params: { channel: "a", data: 1 } };
		for (let index = 0; index < 257; index++) messages.take(Buffer.from(JSON.stringify(message)));
		expect(messages.unfinished()).toBe(256);
		expect(messages.counts.busy).toBe(1);
		await take(Buffer.alloc(1001, " "));
		expect(messages.counts.tooLong).toBe(1);
		for (const finish of waiting) finish();
		await take("");
		expect([messages.unfinished(), messages.counts.accepted]).toEqual([0, 256]);
	});

	it("whatever else comes is counted, and harms nobody", { tags: ["long"] }, async () => {
		const { take, published, messages, warnings } = rig();
		const valid = Buffer.from(JSON.stringify({ method: "publish", params: { channel: "a", data: "x", tags: { b: "c" } } }));
		const wrong: readonly unknown[] = [
			"",
			"null",
			"[]",
			"{}",
			'{"method":"disconnect","params":{"user":"ann"}}',
			'{"method":1}',
			Buffer.of(0xff),
		];
		for (const each of wrong) await take(each);
		await take({ method: "publish", params: { channel: "a", data: "x".repeat(200) } });
		await take({ method: "publish", params: { chanel: "a", data: "x" } });
		expect(published).toEqual([]);
		const { refused, unreadable } = messages.counts;
		expect(refused + unreadable, "messages that were not delivered").toBe(wrong.length + 2);
		let seed = 3;
		const random = (below: number) => {
			seed = (seed * 48_271) % 2_147_483_647;
			return seed % below;
		};
		for (let round = 0; round < 2000; round++) {
			const bytes = Buffer.from(valid.subarray(0, random(4) === 0 ? random(valid.length) : valid.length));
			for (let change = random(4); change > 0 && bytes.length > 0; change--) bytes[random(bytes.length)] = random(256);
			messages.take(bytes);
			if (round % 100 === 0) await new Promise(setImmediate);
		}
		await take(valid);
		expect(published.at(-1)).toBe("a x redis");
		expect(messages.unfinished()).toBe(0);
		expect(warnings.length, "lines in the log").toBe(1);
	});
});

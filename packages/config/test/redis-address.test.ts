import { describe, expect, it } from "vitest";
import { parseRedisAddress, redisAddressText, redisNamesOf } from "../src/index.ts";

const plain = { isCluster: false, tls: false, user: "", password: "", database: 0 };

describe("an address of Redis", () => {
	it.each([
		["redis://10.0.0.5", { ...plain, nodes: [{ host: "10.0.0.5", port: 6379 }] }],
		["redis://cache:7000/3", { ...plain, nodes: [{ host: "cache", port: 7000 }], database: 3 }],
		["rediss://app:p%40ss%3Aw@[::1]:6380", { ...plain, tls: true, user: "app", password: "p@ss:w", nodes: [{ host: "::1", port: 6380 }] }],
		["redis://:secret@a", { ...plain, password: "secret", nodes: [{ host: "a", port: 6379 }] }],
		[
			"redis+cluster://a:1?addr=b:2&addr=c",
			{
				...plain,
				isCluster: true,
				nodes: [
					{ host: "a", port: 1 },
					{ host: "b", port: 2 },
					{ host: "c", port: 6379 },
				],
			},
		],
		[
			"rediss+cluster://a:1,b:2",
			{
				...plain,
				isCluster: true,
				tls: true,
				nodes: [
					{ host: "a", port: 1 },
					{ host: "b", port: 2 },
				],
			},
		],
	])("%s is understood", (text, expected) => {
		expect(parseRedisAddress(text)).toEqual(expected);
	});

	it.each([
		["localhost:6379", /is not a Redis address; write, for example, redis:\/\//],
		["http://a", /is not a Redis address/],
		["redis://a:0", /has the port 0/],
		["redis://a:70000", /has the port 70000/],
		["redis://", /has no host/],
		["redis://:p#w@a", /has a #; in a password, write %23/],
		["redis://a/b", /not a database number/],
		["redis+cluster://a/1", /a Redis Cluster does not have/],
		["redis://a:1,b:2", /only redis\+cluster:\/\/ may have/],
		["redis://a?db=3", /has the parameter "db"/],
		["redis://a,redis://b", /channels are not divided among servers/],
		["redis+sentinel://a:26379", /Sentinel, which is not supported/],
		["redis://u:%zz@a", /%25/],
	])("%s is refused", (text, message) => {
		expect(() => parseRedisAddress(text)).toThrow(message);
	});

	it("a message never quotes a password, and the text for logs has no login", () => {
		for (const text of [
			"redis://u:hunter2@",
			"http://u:hunter2@a",
			"redis://u:hunter2@a:99999",
			"redis://u:hunter2%@a",
			"redis://u:1?hunter2@a",
		]) {
			const message = messageOf(() => parseRedisAddress(text));
			expect(message, text).not.toBe("");
			expect(message).not.toContain("hunter2");
		}
		expect(redisAddressText(parseRedisAddress("rediss://u:hunter2@[::1]:7/2"))).toBe("rediss://[::1]:7/2");
		expect(redisAddressText(parseRedisAddress("redis+cluster://u:hunter2@a?addr=b:2"))).toBe("redis+cluster://a:6379,b:2");
	});
});

function messageOf(action: () => unknown): string {
	try {
		action();
	} catch (error) {
		return (error as Error).message;
	}
	return "";
}

it("a database other than 0 is part of all names in Redis, since channels belong to no database", () => {
	expect(redisNamesOf({ redisAddress: "redis://a", redisPrefix: "ws" })).toBe("ws");
	expect(redisNamesOf({ redisAddress: "redis://a/0", redisPrefix: "ws" })).toBe("ws");
	expect(redisNamesOf({ redisAddress: "redis://a/2", redisPrefix: "ws" })).toBe("ws/2");
});

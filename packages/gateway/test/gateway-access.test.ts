import { type Config, defaultConfig } from "@shardcast/config";
import { expect, it } from "vitest";
import { newlyOpen, offWithoutRedis } from "../src/gateway-access.ts";

const withKey = { tokenHmacSecret: "a-secret-of-some-length" };

it.each([
	["a key that is taken away", withKey, {}, [/^now open mode: every client .*; set a token key, .* to require tokens$/]],
	[
		"clients without a token",
		withKey,
		{ ...withKey, allowAnonymousConnect: true },
		[/^now open mode: .*; --no-allow-anonymous-connect closes it$/],
	],
	["what was open before", {}, { videoWindow: 3 }, []],
	["a first key", {}, withKey, []],
	[
		"pages of all sites, and the console",
		{ consoleToken: "a-token-for-the-page", ...withKey },
		{ allowedOrigins: ["*"], ...withKey },
		[/^now open: every user of this machine can open the console/, /^now open: pages of every site can connect; /],
	],
] as const)("a reload tells what it opens: %s", (_, before, after, lines) => {
	const told = newlyOpen(defaultConfig(before as Partial<Config>), defaultConfig(after as Partial<Config>));
	expect(told).toEqual(lines.map((line) => expect.stringMatching(line)));
});

it.each([
	["clients are users", withKey, /^no Redis: .* block or disconnect.*; --redis-url /],
	["there is a Redis", { ...withKey, redisAddress: "redis://127.0.0.1" }, null],
	["nobody has a token", {}, null],
] as const)("it tells at the start what is off without Redis, if anything: %s", (_, given, line) => {
	const told = offWithoutRedis(defaultConfig(given as Partial<Config>));
	expect(told).toEqual(line === null ? null : expect.stringMatching(line));
});

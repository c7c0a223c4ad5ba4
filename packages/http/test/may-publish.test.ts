import { type Config, defaultConfig } from "@shardcast/config";
import { expect, it } from "vitest";
import { type MayPublish, mayPublish, newlyOpen, whoPublishes } from "../src/may-publish.ts";
import { openToClients } from "../src/open-to-clients.ts";

it.each<[string | undefined, "auto" | "on" | "off", MayPublish, RegExp]>([
	[undefined, "auto", { http: "everyone", webSocket: "everyone" }, /^open mode: .*over HTTP and as a WebSocket client$/],
	[undefined, "on", { http: "everyone", webSocket: "everyone" }, /^open mode: .*over HTTP and as a WebSocket client$/],
	[undefined, "off", { http: "everyone", webSocket: "nobody" }, /^open mode: .*over HTTP; WebSocket clients only receive/],
	[
		"secret-key",
		"auto",
		{ http: "key", webSocket: "nobody" },
		/^publishing needs the key.*WebSocket clients only receive \(--client-publish auto\)$/,
	],
	[
		"secret-key",
		"off",
		{ http: "key", webSocket: "nobody" },
		/^publishing needs the key.*WebSocket clients only receive \(--client-publish off\)$/,
	],
	["secret-key", "on", { http: "key", webSocket: "everyone" }, /needs the key; every WebSocket client can publish without it/],
])("who may publish with the key %s and --client-publish %s", (apiKey, clientPublish, expected, banner) => {
	expect(mayPublish({ apiKey, clientPublish })).toEqual(expected);
	expect(whoPublishes({ apiKey, clientPublish })).toMatch(banner);
	expect(whoPublishes({ apiKey, clientPublish })).not.toContain("secret-key");
});

it.each<[Partial<Config>, Partial<Config>, readonly RegExp[]]>([
	[{ apiKey: "secret-key" }, {}, [/everyone .*can publish, over HTTP and as a WebSocket client.*--api-key/]],
	[{ apiKey: "secret-key", clientPublish: "on" }, { clientPublish: "on" }, [/can publish over HTTP without a key/]],
	[{ clientPublish: "off" }, {}, [/every WebSocket client can publish/]],
	[{ consoleToken: "secret-token" }, {}, [/every user of this machine can open the console/]],
	[{ allowedOrigins: ["https://a.example"] }, { allowedOrigins: ["*"] }, [/pages of every site can connect/]],
	[{}, { clientInsecure: true }, [/every client of the Centrifuge protocol can subscribe, publish.*--no-client-insecure/]],
	[{ allowAnonymousConnect: true }, { clientInsecure: true }, [/every client of the Centrifuge protocol/]],
	[{}, { allowAnonymousConnect: true }, [/can connect without a token; --no-allow-anonymous-connect/]],
	[{ clientInsecure: true }, { allowAnonymousConnect: true }, []],
	[{}, { apiKey: "secret-key", consoleToken: "secret-token" }, []],
	[{ allowedOrigins: ["*"] }, { allowedOrigins: ["*", "null"] }, []],
	[{ messageRate: 5 }, { messageRate: 0 }, []],
])("what a reload opens: %j → %j", (before, after, lines) => {
	const said = newlyOpen(defaultConfig(before), defaultConfig(after));
	expect(said).toEqual(lines.map((line) => expect.stringMatching(line)));
});

it.each<[Partial<Config>, RegExp | null]>([
	[{}, null],
	[{ tokenHmacSecret: "secret-key" }, null],
	[{ clientInsecure: true }, /^insecure mode: every client .*--client-insecure/],
	[{ clientInsecure: true, allowAnonymousConnect: true }, /^insecure mode/],
	[{ allowAnonymousConnect: true }, /need no token to connect \(--allow-anonymous-connect\)/],
])("the banner's line about clients without a token: %j", (changes, line) => {
	expect(openToClients(defaultConfig(changes))).toEqual(line === null ? null : expect.stringMatching(line));
});

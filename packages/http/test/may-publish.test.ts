import { authRequired, type Config, defaultConfig } from "@shardcast/config";
import { describe, expect, it } from "vitest";
import { type MayPublish, mayPublish, newlyOpen, openAccess, openToClients, whoPublishes } from "../src/access/may-publish.ts";

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
])(
	"without required authentication, who may publish with the key %s and --client-publish %s",
	(apiKey, clientPublish, expected, banner) => {
		const config = defaultConfig({ apiKey, clientPublish, requireAuth: false });
		expect(mayPublish(config)).toEqual(expected);
		expect(whoPublishes(config)).toMatch(banner);
		expect(whoPublishes(config)).not.toContain("secret-key");
	},
);

it.each<[Partial<Config>, Partial<Config>, readonly RegExp[]]>([
	[{ apiKey: "secret-key", requireAuth: false }, {}, [/everyone .*can publish, over HTTP and as a WebSocket client.*--api-key/]],
	[{ apiKey: "secret-key", requireAuth: false, clientPublish: "on" }, { clientPublish: "on" }, [/can publish over HTTP without a key/]],
	[
		{ apiKey: "secret-key" },
		{},
		[/raw endpoint need no token.*--require-auth/, /everyone .*can publish, over HTTP and as a WebSocket client/],
	],
	[{ apiKey: "secret-key" }, { apiKey: "secret-key", requireAuth: false }, [/raw endpoint need no token.*--require-auth/]],
	[{ clientPublish: "off" }, {}, [/every WebSocket client can publish/]],
	[{ consoleToken: "secret-token", requireAuth: false }, {}, [/every user of this machine can open the console/]],
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

describe("whether everybody must show who they are", () => {
	it.each<[Partial<Config>, boolean]>([
		[{}, false],
		[{ requireAuth: true }, true],
		[{ apiKey: "secret-key" }, true],
		[{ consoleToken: "secret-token" }, true],
		[{ tokenHmacSecret: "secret-key" }, true],
		[{ tokenRsaPublicKey: "PEM" }, true],
		[{ tokenEcdsaPublicKey: "PEM" }, true],
		[{ tokenJwksEndpoint: "https://a.example" }, true],
		[{ subscriptionTokenHmacSecret: "secret-key" }, true],
		[{ subscriptionTokenRsaPublicKey: "PEM" }, true],
		[{ subscriptionTokenEcdsaPublicKey: "PEM" }, true],
		[{ subscriptionTokenJwksEndpoint: "https://a.example" }, true],
		[{ apiKey: "secret-key", requireAuth: false }, false],
		[{ apiKey: "secret-key", clientInsecure: true }, false],
		[{ kafkaPassword: "secret-password" }, false],
	])("%j: %s", (changes, required) => {
		const config = defaultConfig(changes);
		expect(authRequired(config)).toBe(required);
		expect(openAccess(config).auth).toBe(required ? "required" : "open");
	});

	it.each<[Partial<Config>, MayPublish, RegExp]>([
		[
			{ requireAuth: true },
			{ http: "nobody", webSocket: "permitted" },
			/no client can connect .*nobody can publish over HTTP.*console is closed/,
		],
		[{ apiKey: "secret-key" }, { http: "key", webSocket: "permitted" }, /no client can connect.*HTTP needs the key/],
		[
			{ tokenHmacSecret: "secret-key", consoleToken: "secret-token", clientPublish: "off" },
			{ http: "nobody", webSocket: "nobody" },
			/^authentication is required: clients need a token; .*the console needs its token$/,
		],
	])("%j: what is open then, and the line of the banner", (changes, expected, banner) => {
		const config = defaultConfig(changes);
		expect(mayPublish(config)).toEqual(expected);
		expect(whoPublishes(config)).toMatch(banner);
		expect(whoPublishes(config)).not.toContain("secret-");
	});
});

import { expect, it } from "vitest";
import { type MayPublish, mayPublish, whoPublishes } from "../src/may-publish.ts";

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

import { type Config, defaultConfig } from "@shardcast/config";
import { describe, expect, it } from "vitest";
import { Console } from "../../src/console/console.ts";
import { type ConsoleHead, canWatch, watchRefusal } from "../../src/console/console-access.ts";
import { nothingWatched } from "../../src/console/console-feed.ts";
import { LiveConfig } from "../../src/lifecycle/live-config.ts";

const page: ConsoleHead = { token: null, origin: "http://localhost:3005", host: "localhost:3005", address: "127.0.0.1" };
const token = "look-but-not-touch";

it("says that a token must be configured where nobody may watch without one", () => {
	expect(watchRefusal({ token: undefined, authRequired: true })).toContain("set --console-token");
	expect(watchRefusal({ token: undefined, authRequired: false })).toContain("opened on this machine");
	expect(watchRefusal({ token, authRequired: true })).toContain("without its token");
});

describe("open pages when a reload changes who may watch", () => {
	/** The codes with which a page is closed by a reload. */
	function reloaded(before: Partial<Config>, after: Partial<Config>): readonly number[] {
		const live = new LiveConfig(defaultConfig(before));
		const console = new Console({ options: {}, live, hub: {}, channels: {}, history: {}, check: {} } as never);
		const codes: number[] = [];
		const viewer = {
			...nothingWatched,
			shown: 0,
			send: () => {},
			getBufferedAmount: () => 0,
			end: (code: number) => void codes.push(code),
		};
		console.feed.add(viewer);
		console.reload(defaultConfig(after))();
		console.feed.remove(viewer);
		return codes;
	}

	it("are closed; otherwise they stay", () => {
		expect(reloaded({}, { requireAuth: true }), "authentication is required").toEqual([1001]);
		expect(reloaded({}, { consoleToken: "t" }), "a token is set").toEqual([1001]);
		expect(reloaded({ consoleToken: "t" }, { consoleToken: "u" }), "another token").toEqual([1001]);
		expect(reloaded({ consoleToken: "t" }, { consoleToken: "t", messageRate: 5 }), "nothing of it has changed").toEqual([]);
	});
});

describe("the console's feed", () => {
	it.each([
		["its own page", {}],
		["its own page by address", { origin: "http://127.0.0.1:3005", host: "127.0.0.1:3005" }],
		["its own page by IPv6 address", { origin: "http://[::1]:3005", host: "[::1]:3005", address: "::1" }],
		["its own page, the default port left out", { origin: "http://localhost", host: "localhost:80" }],
		["a program on this machine", { origin: "" }],
	])("is allowed without a token: %s", (_what, changes) => {
		expect(canWatch({ ...page, ...changes }, { token: undefined, authRequired: false })).toBe(true);
		expect(canWatch({ ...page, ...changes }, { token: undefined, authRequired: true }), "where authentication is required").toBe(false);
	});

	it.each([
		["a page of a name that was made to point here", { origin: "http://127.evil.example:3005", host: "127.evil.example:3005" }],
		["a page of a name that was made to point here", { origin: "http://127.0.0.1.evil.example", host: "127.0.0.1.evil.example" }],
		["a page of a name that was made to point here", { origin: "http://evil.example:3005", host: "evil.example:3005" }],
		["a program that uses such a name", { origin: "", host: "127.evil.example:3005" }],
		["a page of another site", { origin: "http://evil.example" }],
		["another page of this machine", { origin: "http://localhost:5173" }],
		["a sandboxed frame", { origin: "null" }],
		["a connection from elsewhere", { address: "10.0.0.9" }],
		["a request without Host", { origin: "", host: "" }],
	])("is refused without a token: %s (%o)", (_what, changes) => {
		expect(canWatch({ ...page, ...changes }, { token: undefined, authRequired: false })).toBe(false);
	});

	it("allows any address with a token, but still only its own page", () => {
		const away = { ...page, origin: "https://trade.example", host: "trade.example", address: "10.0.0.9", token };
		expect(canWatch(away, { token, authRequired: true })).toBe(true);
		expect(canWatch({ ...away, token: null }, { token, authRequired: true })).toBe(false);
		expect(canWatch({ ...away, origin: "https://evil.example" }, { token, authRequired: true })).toBe(false);
	});
});

import { type Config, defaultConfig } from "@shardcast/config";
import { describe, expect, it } from "vitest";
import { Namespaces } from "../src/index.ts";
import { namespace } from "./namespace.ts";

const config = (changes: Partial<Config> = {}) =>
	defaultConfig({
		channelNamespaces: [
			namespace({ name: "chat", historySize: 10, historyTtlMs: 60_000, allowUserLimitedChannels: true }),
			namespace({ name: "game.1", historySize: 5, historyTtlMs: 1000, historyMetaTtlMs: 5000, channelRegex: "^[a-zé]+:\\d$" }),
		],
		...changes,
	});

describe("Namespaces", () => {
	it.each([
		["news", "", null],
		["chat:1", "chat", null],
		["chat:", "chat", null],
		["chat:1:2", "chat", null],
		["$chat:1", "chat", null],
		["$news", "", null],
		["$", "", null],
		[":news", "", null],
		["game.1:cheß:1", "game.1", 107],
		["game.1:ché:1", "game.1", null],
		["game.1:chess", "game.1", 107],
		["chess:1", "chess", 102],
		["$chess:1", "chess", 102],
		["Chat:1", "Chat", 102],
		["constructor:1", "constructor", 102],
		["chess:é", "chess", 102],
		["chat:é", "chat", 107],
		["é", "", 107],
		["", "", 107],
		["a".repeat(255), "", null],
		["a".repeat(256), "", 107],
		[`game.1:${"é".repeat(130)}:1`, "", 107],
	])("%j is in the namespace %j, error %j", (name, namespaceName, error) => {
		const channel = new Namespaces(config()).of(name);
		expect(channel).toMatchObject({ name, namespace: namespaceName, error });
	});

	it("gives a channel the options of its namespace, and a refused one none", () => {
		const checked = config();
		const namespaces = new Namespaces(checked);
		expect(namespaces.of("chat:1").options).toBe(checked.channelNamespaces[0]);
		expect(namespaces.of("news").options).toBe(checked.channelWithoutNamespace);
		expect(namespaces.of("chess:1").options).toEqual(defaultConfig().channelWithoutNamespace);
		const open = config({ channelWithoutNamespace: { ...checked.channelWithoutNamespace, allowPublishForClient: true } });
		expect(new Namespaces(open).of("é").options.allowPublishForClient).toBe(false);
	});

	it("tells the broker how much history to keep", () => {
		const namespaces = new Namespaces(config({ channelHistoryMetaTtlMs: 7000 }));
		expect(namespaces.of("chat:1").history).toEqual({ size: 10, ttlMs: 60_000, metaTtlMs: 7000, delta: false });
		expect(namespaces.of("game.1:a:1").history).toEqual({ size: 5, ttlMs: 1000, metaTtlMs: 5000, delta: false });
		expect(namespaces.of("news").history).toBeNull();
		expect(namespaces.of("chat:é").history).toBeNull();
	});

	it.each([
		["chat:dialog#42,17", ["42", "17"]],
		["chat:dialog#1#42", ["42"]],
		["chat:dialog#", [""]],
		["chat:dialog", null],
		["dialog#42", null],
	])("%j is limited to the users %j, if its namespace allows that", (name, users) => {
		expect(new Namespaces(config()).of(name).users).toEqual(users);
	});

	it("treats slow clients as the namespace says, and otherwise as all namespaces do", () => {
		const rules = (general: Partial<Config>) => {
			const namespaces = new Namespaces(
				defaultConfig({
					...general,
					channelNamespaces: [
						namespace({ name: "any" }),
						namespace({ name: "all", slowClient: "disconnect" }),
						namespace({ name: "some", slowClient: "drop-oldest" }),
						namespace({ name: "latest", slowClient: "keep-latest" }),
						namespace({ name: "keys", slowClient: "keep-latest", slowClientKeyTag: "id" }),
					],
				}),
			);
			const names = ["1", "any:1", "all:1", "some:1", "latest:1", "keys:1", "none:1"];
			return [...names.map((name) => namespaces.of(name)), namespaces.everybody].map(({ slowClient: { policy, keyTag } }) =>
				`${policy} ${keyTag}`.trim(),
			);
		};
		const own = ["disconnect", "drop-oldest", "keep-latest", "keep-latest id", "disconnect"];
		expect(rules({})).toEqual(["disconnect", "disconnect", ...own, "disconnect"]);
		expect(rules({ channelSlowClient: "drop-oldest" })).toEqual(["drop-oldest", "drop-oldest", ...own, "drop-oldest"]);
		expect(rules({ channelSlowClient: "keep-latest", channelSlowClientKeyTag: "symbol" })).toEqual([
			...["keep-latest symbol", "keep-latest symbol", "disconnect", "drop-oldest"],
			...["keep-latest symbol", "keep-latest id", "disconnect", "keep-latest symbol"],
		]);
		expect(new Namespaces(defaultConfig()).mayDrop).toBe(false);
		expect(new Namespaces(defaultConfig({ channelSlowClient: "drop-oldest" })).mayDrop).toBe(true);
	});

	it("requires a token for channels with the private prefix", () => {
		const namespaces = new Namespaces(config());
		expect(namespaces.of("$chat:1").needsToken).toBe(true);
		expect(namespaces.of("chat:$1").needsToken).toBe(false);
	});

	it("accepts other boundary characters, and none", () => {
		const other = new Namespaces(
			config({
				channelPrivatePrefix: "p/",
				channelNamespaceBoundary: "::",
				channelUserBoundary: "@",
				channelUserSeparator: "+",
				channelLengthMax: 20,
			}),
		);
		expect(other.of("p/chat::a:b")).toMatchObject({ namespace: "chat", needsToken: true, error: null });
		expect(other.of("chat::a@1+2,3").users).toEqual(["1", "2,3"]);
		expect(other.of("chat::123456789012345").error).toBe(107);
		const none = new Namespaces(
			config({ channelPrivatePrefix: "", channelNamespaceBoundary: "", channelUserBoundary: "", channelUserSeparator: "" }),
		);
		expect(none.of("$chess:1")).toMatchObject({ namespace: "", needsToken: false, users: null, error: null });
		const single = new Namespaces(config({ channelUserSeparator: "" }));
		expect(single.of("chat:a#1,2").users).toEqual(["1,2"]);
	});

	it("caches names that are used, drops others when there are many, and never caches one that is too long", { tags: ["long"] }, () => {
		const namespaces = new Namespaces(config());
		const kept = namespaces.of("chat:kept");
		const once = namespaces.of("chat:once");
		for (let index = 0; index < 40_000; index++) {
			namespaces.of(`chat:${index}`);
			if (index % 1000 === 0) expect(namespaces.of("chat:kept")).toBe(kept);
		}
		expect(namespaces.of("chat:once")).not.toBe(once);
		expect(namespaces.of("chat:once")).toEqual(once);
		const long = "a".repeat(1000);
		expect(namespaces.of(long)).not.toBe(namespaces.of(long));
	});
});

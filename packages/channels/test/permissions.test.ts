import { type ChannelOptions, defaultConfig } from "@shardcast/config";
import { describe, expect, it } from "vitest";
import {
	type Channel,
	connectDisconnect,
	grantedPositions,
	historyError,
	Namespaces,
	presenceError,
	publishError,
	subscribeError,
} from "../src/index.ts";
import { namespace } from "./namespace.ts";

function channel(options: Partial<ChannelOptions>, name = "ns:a"): Channel {
	return new Namespaces(defaultConfig({ channelNamespaces: [namespace({ name: "ns", ...options })] })).of(name);
}

const user = { user: "42", insecure: false, subscribed: false, hasToken: false };
const anonymous = { ...user, user: "" };
const insecure = { ...anonymous, insecure: true };
const history = { historySize: 1, historyTtlMs: 1000 };

describe("subscribe", () => {
	const forClient = { allowSubscribeForClient: true };
	const forAll = { ...forClient, allowSubscribeForAnonymous: true };
	const limited = { allowUserLimitedChannels: true };
	it.each([
		["nothing is allowed", {}, "ns:a", user, 103],
		["users are", forClient, "ns:a", user, null],
		["users are, and it is none", forClient, "ns:a", anonymous, 103],
		["everybody is", forAll, "ns:a", anonymous, null],
		["anonymous ones are, which needs users", { allowSubscribeForAnonymous: true }, "ns:a", anonymous, 103],
		["anonymous ones are, which says nothing of users", { allowSubscribeForAnonymous: true }, "ns:a", user, 103],
		["insecure mode", {}, "ns:a", insecure, null],
		["a token", {}, "ns:a", { ...anonymous, hasToken: true }, null],
		["private, without a token", forAll, "$ns:a", user, 103],
		["private, without a token, insecure", forAll, "$ns:a", insecure, 103],
		["private, with a token", {}, "$ns:a", { ...user, hasToken: true }, null],
		["limited to this user", limited, "ns:a#17,42", user, null],
		["limited to others", limited, "ns:a#17", user, 103],
		["limited to others, users are allowed", { ...limited, ...forAll }, "ns:a#17", user, 103],
		["limited to others, insecure", limited, "ns:a#17", insecure, null],
		["limited to others, with a token", limited, "ns:a#17", { ...user, hasToken: true }, null],
		["part of a user's name", limited, "ns:a#421", user, 103],
		["not limited for want of a #", { ...limited, ...forClient }, "ns:a", user, null],
		["limits are off", forClient, "ns:a#17", user, null],
		["no such namespace, insecure", {}, "other:a", insecure, 102],
		["no such name, with a token", {}, "ns:é", { ...user, hasToken: true }, 107],
	])("%s", (_, options, name, requester, error) => {
		expect(subscribeError(channel(options, name), requester)).toBe(error);
	});
});

describe.each([
	["publish", publishError, "Publish", {}],
	["history", historyError, "History", history],
	["presence", presenceError, "Presence", { presence: true }],
] as const)("%s", (_, errorOf, right, needed) => {
	const allow = (...who: ("Client" | "Subscriber" | "Anonymous")[]) =>
		Object.fromEntries(who.map((each) => [`allow${right}For${each}`, true]));
	const subscribed = { ...user, subscribed: true };
	const subscribedAnonymous = { ...anonymous, subscribed: true };
	it.each([
		["nobody", allow(), subscribed, 103],
		["users", allow("Client"), user, null],
		["users, and it is none", allow("Client"), subscribedAnonymous, 103],
		["users and anonymous ones", allow("Client", "Anonymous"), anonymous, null],
		["subscribers, and it is none", allow("Subscriber"), user, 103],
		["subscribers", allow("Subscriber"), subscribed, null],
		["subscribers, and it is anonymous", allow("Subscriber"), subscribedAnonymous, 103],
		["subscribers and anonymous ones", allow("Subscriber", "Anonymous"), subscribedAnonymous, null],
		["subscribers and anonymous ones, and it is not subscribed", allow("Subscriber", "Anonymous"), anonymous, 103],
		["anonymous ones alone, which is nobody", allow("Anonymous"), subscribedAnonymous, 103],
		["insecure mode", allow(), insecure, null],
	])("allowed: %s", (_, options, requester, error) => {
		expect(errorOf(channel({ ...needed, ...options }), requester)).toBe(error);
	});

	it("is refused if the channel does not exist, whatever is allowed", () => {
		const all = { ...needed, ...allow("Client", "Anonymous") };
		expect(errorOf(channel(all, "other:a"), insecure)).toBe(102);
		expect(errorOf(channel(all, "ns:é"), insecure)).toBe(107);
	});

	it("to a private or user-limited channel requires the same permissions", () => {
		const options = { ...needed, ...allow("Client"), allowUserLimitedChannels: true };
		expect(errorOf(channel(options, "$ns:a"), user)).toBeNull();
		expect(errorOf(channel(options, "ns:a#17"), user)).toBeNull();
	});
});

describe("where a backend decides", () => {
	const hooks = { subscribeProxyEnabled: true, publishProxyEnabled: true };
	const permitted = { ...hooks, allowSubscribeForClient: true, allowPublishForClient: true };
	it.each([
		["nobody may by the options alone", permitted, {}, 103],
		["whoever the backend is asked about may, as far as the options go", hooks, { backend: "asked" }, null],
		["when it has failed, who has the right without it", permitted, { backend: "failed" }, null],
		["when it has failed, not who has no right", hooks, { backend: "failed" }, 103],
	] as const)("%s", (_, options, asked, error) => {
		const requester = { ...user, ...asked };
		expect([subscribeError(channel(options), requester), publishError(channel(options), requester)]).toEqual([error, error]);
	});
});

it("disabled history and presence are not available to anybody", () => {
	expect(historyError(channel({ allowHistoryForClient: true }), user)).toBe(108);
	expect(historyError(channel({}), insecure)).toBe(108);
	expect(presenceError(channel({ allowPresenceForClient: true }), user)).toBe(108);
	expect(presenceError(channel({}), insecure)).toBe(108);
});

describe("position and recovery", () => {
	const nothing = { positioned: false, recoverable: false };
	const position = { positioned: true, recoverable: false };
	const both = { positioned: true, recoverable: true };
	const recovery = { positioned: false, recoverable: true };
	it.each([
		["nothing is allowed", history, user, both, nothing],
		["nothing is asked for", { ...history, allowRecovery: true, allowPositioning: true }, user, nothing, nothing],
		["a position is asked for", { ...history, allowPositioning: true }, user, both, position],
		["recovery, which has a position", { ...history, allowRecovery: true }, user, recovery, both],
		["recovery is not allowed", { ...history, allowPositioning: true }, user, recovery, nothing],
		["forced position", { ...history, forcePositioning: true }, user, nothing, position],
		["forced recovery", { ...history, forceRecovery: true }, user, nothing, both],
		["who may read history may recover", { ...history, allowHistoryForSubscriber: true }, user, both, both],
		["but it is anonymous", { ...history, allowHistoryForSubscriber: true }, anonymous, both, nothing],
		["insecure mode", history, insecure, both, both],
		["without history there is neither", { forcePositioning: true, allowRecovery: true }, insecure, both, nothing],
	])("%s", (_, options, requester, asked, granted) => {
		expect(grantedPositions(channel(options), requester, asked)).toEqual(granted);
	});
});

describe("connect", () => {
	const open = { clientInsecure: true };
	const anonymousMay = { allowAnonymousConnect: true };
	it.each([
		["no token, nothing configured", null, {}, 3501],
		["no token, insecure", null, open, null],
		["no token, anonymous ones may", null, anonymousMay, null],
		["a user's token", "42", {}, null],
		["nobody's token", "", {}, null],
		["nobody's token, which is not enough", "", { disallowAnonymousTokens: true }, 3507],
		["a user's token where nobody's is not enough", "42", { disallowAnonymousTokens: true }, null],
		["no token where nobody's is not enough", null, { ...anonymousMay, disallowAnonymousTokens: true }, null],
	])("%s", (_, name, changes, code) => {
		expect(connectDisconnect(name, defaultConfig(changes))).toBe(code);
	});
});

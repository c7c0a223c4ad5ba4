import { allowedOrigins, httpErrors, TrustedProxies } from "@shardcast/http";
import { describe, expect, it } from "vitest";
import { channelsAsked, channelsOf, rawParameters } from "../../src/sessions/raw/channels-asked.ts";
import { type AddressTrust, type ForwardedHead, forwardedAddress } from "../../src/transports/client-address.ts";
import { judgeUpgrade, listIncludes, type UpgradeHead, type UpgradeRules } from "../../src/transports/upgrade-request.ts";

const head: UpgradeHead = {
	query: "",
	origin: "",
	host: "trade.example:3005",
	subprotocols: "",
	header: () => "",
	joinedHeader: () => "",
	upgrade: "websocket",
	connection: "Upgrade",
	version: "13",
	hasBody: false,
};
const rules: UpgradeRules = { allowedOrigins: allowedOrigins([]), draining: false };
const listed = allowedOrigins(["https://ours.example"]);
const statusOf = (changes: Partial<UpgradeHead>, more: Partial<UpgradeRules> = {}) => {
	const asked = { ...head, ...changes };
	const refused = judgeUpgrade(asked, { ...rules, ...more });
	if (refused !== null) return refused.status;
	const outcome = channelsAsked(asked.query, rawParameters({ lbAffinityFrom: [] }));
	return "refused" in outcome ? outcome.refused.status : 101;
};

describe("an upgrade request", () => {
	it("is accepted with the channels that it asks for", () => {
		expect(channelsOf("").count).toBe(0);
		expect(channelsOf("channels=a,b").names).toEqual(["a", "b"]);
		expect(channelsOf("channels=a&&channels=b,a").names).toEqual(["a", "b"]);
		expect(channelsOf("channels=a%20b,%C3%A9,x/y:z").names).toEqual(["a b", "é", "x/y:z"]);
		expect(statusOf({ query: "channels=a" })).toBe(101);
	});

	it("may have the ids by which a balancer or an edge has chosen, and no others", () => {
		for (const query of ["user=ann", "connection=c1&channels=a"]) expect(statusOf({ query })).toBe(101);
		const named = rawParameters({ lbAffinityFrom: ["query:team", "cookie:sid", "query:user"] });
		expect(named).toEqual(["channels", "token", "user", "connection", "team"]);
		expect(channelsAsked("team=red&channels=a", named)).toMatchObject({ channels: { names: ["a"] } });
		expect(channelsAsked("sid=red", named)).toMatchObject({ refused: { status: 400 } });
		expect(String((channelsAsked("teem=red", named) as { refused: { body: unknown } }).refused.body)).toContain("did you mean");
	});

	it.each([
		["an empty name", { query: "channels=" }, {}, 400],
		["a misspelt parameter, which would listen to everything", { query: "channel=private" }, {}, 400],
		["an unknown parameter", { query: "channels=a&room=b" }, {}, 400],
		["an empty name among others", { query: "channels=a,,b" }, {}, 400],
		["a name that is too long", { query: `channels=${"x".repeat(256)}` }, {}, 400],
		["too many channels", { query: `channels=${Array.from({ length: 33 }, (_, index) => `c${index}`).join(",")}` }, {}, 400],
		["a page of another origin", { origin: "https://theirs.example" }, {}, 403],
		["a page of another origin than those listed", { origin: "https://theirs.example" }, { allowedOrigins: listed }, 403],
		["no wish to upgrade", { upgrade: "" }, {}, 426],
		["another wish", { upgrade: "websockets, h2c" }, {}, 426],
		["no word of it in Connection", { connection: "keep-alive" }, {}, 426],
		["a body", { hasBody: true }, {}, 400],
		["another version", { version: "8" }, {}, 426],
		["a shard that drains", {}, { draining: true }, 503],
	])("is refused with %s", (_what, changes, more, status) => {
		expect(statusOf(changes, more)).toBe(status);
	});

	it("may list other protocols and options in its headers", () => {
		expect(statusOf({ upgrade: "h2c ,\tWebSocket", connection: "keep-alive, UPGRADE" })).toBe(101);
	});

	it("is refused during a stop with the same reply as the balancer's", () => {
		const refused = judgeUpgrade(head, { ...rules, draining: true });
		if (refused === null) throw new Error("it was let through");
		const { message, retryAfterSeconds } = httpErrors.shutting_down;
		expect(JSON.parse(String(refused.body))).toEqual({ error: { code: "shutting_down", message } });
		expect(refused.headers["Retry-After"]).toBe(String(retryAfterSeconds));
	});

	it("is accepted from programs, the server's own pages and listed ones; others are told what to configure", () => {
		for (const origin of ["", "http://trade.example:3005"]) expect(statusOf({ origin })).toBe(101);
		for (const origin of ["https://ours.example", "https://OURS.example", "http://trade.example:3005", ""])
			expect(statusOf({ origin }, { allowedOrigins: listed })).toBe(101);
		for (const origin of ["http://ours.example", "https://ours.example.evil", "null", "http://trade.example"])
			expect(statusOf({ origin }, { allowedOrigins: listed })).toBe(403);
		expect(statusOf({ origin: "https://theirs.example" }, { allowedOrigins: allowedOrigins(["https://ours.example", "*"]) })).toBe(101);
		expect(judgeUpgrade({ ...head, origin: "null" }, rules)).toMatchObject({
			body: expect.stringContaining("pages of null may not use trade.example:3005: list the origin in --allowed-origins"),
		});
	});
});

describe("the address of a client behind a proxy", () => {
	const isProxy = (given: string) => given === "token";
	const untold = { proxyToken: "", realIp: "", announced: null, forwardedFor: "" };
	const told = (head: Partial<ForwardedHead>, trust: Partial<AddressTrust>, peer = "10.0.0.1") =>
		forwardedAddress({ ...untold, ...head }, () => peer, { isProxy: null, trustedProxies: new TrustedProxies([]), ...trust });

	it("is accepted only with the cluster's token", () => {
		expect(told({ realIp: "1.2.3.4" }, { isProxy })).toBeNull();
		expect(told({ realIp: "1.2.3.4", proxyToken: "guess" }, { isProxy })).toBeNull();
		expect(told({ realIp: "1.2.3.4", proxyToken: "token" }, {})).toBeNull();
		expect(told({ realIp: "1.2.3.4", proxyToken: "token" }, { isProxy })).toEqual({ address: "1.2.3.4", byBalancer: true });
	});

	it("is what the balancer reports, never what a client sent before", () => {
		expect(told({ proxyToken: "token", forwardedFor: "6.6.6.6" }, { isProxy })).toBeNull();
	});

	it("is the one in the connection's PROXY header, or what that address reports if it is a trusted proxy itself", () => {
		const trustedProxies = new TrustedProxies(["10.0.0.0/8"]);
		const at = (address: string) => ({ address, byBalancer: false });
		expect(told({ announced: "192.0.2.1" }, {})).toEqual(at("192.0.2.1"));
		expect(told({ announced: "192.0.2.1", forwardedFor: "6.6.6.6" }, { trustedProxies })).toEqual(at("192.0.2.1"));
		expect(told({ announced: "10.0.0.2", forwardedFor: "6.6.6.6" }, { trustedProxies })).toEqual(at("6.6.6.6"));
		expect(told({ announced: "10.0.0.2" }, { trustedProxies })).toEqual(at("10.0.0.2"));
		expect(told({ announced: "10.0.0.2", proxyToken: "token", realIp: "1.2.3.4" }, { isProxy })).toEqual({
			address: "1.2.3.4",
			byBalancer: true,
		});
	});

	it("is what a trusted proxy reports; headers from anybody else are ignored", () => {
		const trustedProxies = new TrustedProxies(["10.0.0.0/8"]);
		expect(told({ forwardedFor: "6.6.6.6" }, { trustedProxies })).toEqual({ address: "6.6.6.6", byBalancer: false });
		const unread = {
			...untold,
			get forwardedFor(): string {
				throw new Error("looked at");
			},
		};
		expect(forwardedAddress(unread, () => "192.0.2.1", { isProxy, trustedProxies })).toBeNull();
		const unasked = (): string => {
			throw new Error("asked for");
		};
		expect(forwardedAddress(unread, unasked, { isProxy: null, trustedProxies: new TrustedProxies([]) })).toBeNull();
	});
});

it("header values are compared by ASCII letters, as in the balancer: the Kelvin sign is not a k", () => {
	expect(listIncludes("WebSocket", "websocket")).toBe(true);
	expect(listIncludes("h2c, WEBSOCKET", "websocket")).toBe(true);
	expect(listIncludes("websoc\u212Aet", "websocket")).toBe(false);
});

import { type Config, defaultConfig } from "@shardcast/config";
import { cookieIn, tokenIn } from "@shardcast/http";
import { channelList, createRecordHead, everybody, RecordKind, readRecordHead, recordBytes, writeRecordHead } from "@shardcast/wire";
import { beforeAll, describe, expect, it } from "vitest";
import type { DeliveredRecord } from "../../../src/delivery/delivered-record.ts";
import type { Audience } from "../../../src/hub/audience.ts";
import { ConnectedUsers } from "../../../src/sessions/centrifuge/connected-users.ts";
import { Inventory, type InventoryParts } from "../../../src/sessions/centrifuge/inventory.ts";
import { Users, type UsersParts } from "../../../src/sessions/centrifuge/users.ts";
import type { RawSession } from "../../../src/sessions/raw/raw-session.ts";
import type { RawUserSession } from "../../../src/sessions/raw/raw-user-session.ts";
import type { FakeTransport } from "../../support/fake-transport.ts";
import { rawRequest } from "../../support/raw-request.ts";
import { RawRig } from "../../support/raw-rig.ts";
import { tokenOf, tokenSecret } from "../../support/tokens.ts";

const plain = defaultConfig().channelWithoutNamespace;
const namespace = (name: string, options: Partial<typeof plain>) => ({ ...plain, name, ...options });
const config: Partial<Config> = {
	tokenHmacSecret: tokenSecret,
	channelNamespaces: [
		namespace("news", { allowSubscribeForClient: true }),
		namespace("open", { allowSubscribeForClient: true, allowSubscribeForAnonymous: true }),
		namespace("chat", { allowSubscribeForClient: true, allowPublishForSubscriber: true }),
		namespace("dm", { allowUserLimitedChannels: true }),
		namespace("num", { allowSubscribeForClient: true, channelRegex: "^\\d+$" }),
		namespace("closed", {}),
	],
};
const now = () => Math.floor(Date.now() / 1000);
let ann: string;
let anonymous: string;
beforeAll(async () => {
	[ann, anonymous] = [await tokenOf({ sub: "ann", info: { name: "Ann" } }), await tokenOf({})];
});

describe("a token is sent", () => {
	const head = (query: string, headers: Record<string, string> = {}) => ({ query, header: (name: string) => headers[name] ?? "" });

	it.each([
		["in the query", head("channels=a&token=t1", { authorization: "Bearer t2" }), "", "t1"],
		["in the header", head("", { authorization: "bearer t2", cookie: "jwt=t3" }), "jwt", "t2"],
		["in the cookie", head("", { cookie: 'a=b; jwt="t3"; c=d' }), "jwt", "t3"],
		["not in a cookie of another name", head("", { cookie: "jwt=t3" }), "other", ""],
		["not in a cookie, if none is configured", head("", { cookie: "jwt=t3" }), "", ""],
		["not in another kind of Authorization", head("", { authorization: "Basic t4" }), "", ""],
	])("%s", (_how, request, cookie, expected) => {
		expect(tokenIn(request, cookie)).toBe(expected);
	});

	it("a cookie is found by its whole name", () => {
		expect([cookieIn("xjwt=1; jwt=2", "jwt"), cookieIn("jwt", "jwt"), cookieIn("=1", ""), cookieIn("a=b=c", "a")]).toEqual([
			"2",
			"",
			"",
			"b=c",
		]);
	});
});

describe("with authentication required, a raw client", () => {
	it("is refused if its token is revoked while it is verified", async () => {
		const rig = new RawRig(config);
		rig.isRevoked = true;
		expect(await rig.hears(`channels=news:1&token=${ann}`)).toBe(401);
		expect([rig.kept, rig.row.get("refusedUnauthorized")]).toEqual([0, 1]);
	});

	it("is refused if its user is blocked: another token would not help", async () => {
		const rig = new RawRig(config);
		rig.blocked = "ann";
		expect(await rig.hears(`channels=news:1&token=${ann}`)).toBe(403);
		expect([rig.kept, rig.row.get("refusedForbidden")]).toEqual([0, 1]);
	});

	it.each<[string, () => Promise<readonly string[] | number> | (readonly string[] | number), readonly string[] | number]>([
		["without a token", () => new RawRig(config).hears("channels=news:1"), 401],
		[
			"with a token that nobody signed",
			async () => new RawRig(config).hears(`token=${await tokenOf({ sub: "ann" }, "another-secret-of-32-bytes-or-more")}`),
			401,
		],
		["with an expired token", async () => new RawRig(config).hears(`token=${await tokenOf({ sub: "ann", exp: now() - 10 })}`), 401],
		[
			"with an expire_at that has passed",
			async () => new RawRig(config).hears(`token=${await tokenOf({ sub: "ann", expire_at: now() - 10 })}`),
			401,
		],
		["with a subscription token", async () => new RawRig(config).hears(`token=${await tokenOf({ sub: "ann", channel: "news:1" })}`), 401],
		["with a token in the query", () => new RawRig(config).hears(`channels=news:1,chat:2&token=${ann}`), ["news:1", "chat:2"]],
		["with a token in the header", () => new RawRig(config).hears("channels=news:1", { authorization: `Bearer ${ann}` }), ["news:1"]],
		[
			"with a token in the cookie",
			() => new RawRig({ ...config, rawTokenCookie: "jwt" }).hears("channels=news:1", { cookie: `jwt=${ann}` }),
			["news:1"],
		],
		["for a channel without permission", () => new RawRig(config).hears(`channels=news:1,closed:1&token=${ann}`), 403],
		["for a channel without a namespace", () => new RawRig(config).hears(`channels=x:1&token=${ann}`), 403],
		["for a private channel", () => new RawRig(config).hears(`channels=$news:1&token=${ann}`), 403],
		[
			"for a name with a comma, which separates names",
			() => new RawRig(config).hears(`channels=dm:x%23ann,bob&token=${ann}`.replace(",", "%2C")),
			403,
		],
		["for a channel limited to its user", () => new RawRig(config).hears(`channels=dm:x%23ann&token=${ann}`), ["dm:x#ann"]],
		["for a channel limited to another user", () => new RawRig(config).hears(`channels=dm:x%23bob&token=${ann}`), 403],
		["for a name that the namespace does not take", () => new RawRig(config).hears(`channels=num:x&token=${ann}`), 403],
		["for a name that the namespace takes", () => new RawRig(config).hears(`channels=num:7&token=${ann}`), ["num:7"]],
		["anonymous by its token, for a channel of users", () => new RawRig(config).hears(`channels=news:1&token=${anonymous}`), 403],
		["anonymous by its token, for an open channel", () => new RawRig(config).hears(`channels=open:1&token=${anonymous}`), ["open:1"]],
		[
			"anonymous by its token, which is not allowed",
			() => new RawRig({ ...config, disallowAnonymousTokens: true }).hears(`channels=open:1&token=${anonymous}`),
			403,
		],
		[
			"without a token, where that is allowed",
			() => new RawRig({ ...config, allowAnonymousConnect: true }).hears("channels=open:1"),
			["open:1"],
		],
		[
			"without a token, where that is allowed, for a channel of users",
			() => new RawRig({ ...config, allowAnonymousConnect: true }).hears("channels=news:1"),
			403,
		],
		["without channels", () => new RawRig(config).hears(`token=${ann}`), []],
		[
			"without channels, with those of its token",
			async () => new RawRig(config).hears(`token=${await tokenOf({ sub: "ann", channels: ["closed:1", "$news:2"] })}`),
			["closed:1", "$news:2"],
		],
		[
			"for one of those of its token",
			async () =>
				new RawRig(config).hears(`channels=closed:1&token=${await tokenOf({ sub: "ann", subs: { "closed:1": {}, "closed:2": {} } })}`),
			["closed:1"],
		],
		[
			"with a token for a channel that cannot be",
			async () => new RawRig(config).hears(`token=${await tokenOf({ sub: "ann", channels: ["x:1"] })}`),
			403,
		],
		[
			"with a token for 33 channels",
			async () =>
				new RawRig(config).hears(
					`token=${await tokenOf({ sub: "ann", channels: Array.from({ length: 33 }, (_, index) => `closed:${index}`) })}`,
				),
			403,
		],
		["whose user has a personal channel", () => new RawRig({ ...config, personalChannelEnabled: true }).hears(`token=${ann}`), ["#ann"]],
	])("%s", async (_what, heard, expected) => {
		expect(await heard()).toEqual(expected);
	});

	it("gets 401 with a challenge and the reason, which never contains the token", async () => {
		const reply = await new RawRig(config).ask("token=eyJhbGciOiJIUzI1NiJ9.secret-part.x");
		if (!("status" in reply)) throw new Error("let in");
		expect(reply).toMatchObject({ status: 401, headers: { "WWW-Authenticate": "Bearer" } });
		expect(String(reply.body)).toContain("the token is invalid");
		expect(String(reply.body)).not.toContain("secret-part");
	});

	it("without channels gets messages without a channel, and no others", async () => {
		const rig = new RawRig(config);
		await rig.ask(`token=${ann}`);
		const reached = (channels: readonly string[]) => {
			const list = channels.length === 0 ? everybody : channelList(channels);
			const [u8, into, head] = [new Uint8Array(recordBytes(list, 1)), [] as Audience[], createRecordHead()];
			const view = new DataView(u8.buffer);
			writeRecordHead(view, u8, 0, RecordKind.text, 0, 0, list);
			readRecordHead(view, 0, u8.length, head);
			rig.endpoint.channelSets.select(u8, view, head, into);
			return into.reduce((sum, { clients }) => sum + clients, 0);
		};
		expect([reached([]), reached(["news:1"])]).toEqual([1, 0]);
	});

	it("that reads too slowly is treated by the namespace of a message's first channel; messages without a channel have none", () => {
		const latest = namespace("latest", { slowClient: "keep-latest", slowClientKeyTag: "symbol" });
		const oldest = namespace("oldest", { slowClient: "drop-oldest" });
		const rig = new RawRig({ ...config, channelNamespaces: [latest, oldest] });
		const ruleFor = (channels: readonly string[]) => {
			const list = channels.length === 0 ? everybody : channelList(channels);
			const [u8, head] = [new Uint8Array(recordBytes(list, 1)), createRecordHead()];
			const view = new DataView(u8.buffer);
			writeRecordHead(view, u8, 0, RecordKind.text, 0, 0, list);
			readRecordHead(view, 0, u8.length, head);
			const { policy, keyTag } = rig.endpoint.laneRule({ head, u8 } as DeliveredRecord);
			return `${policy} ${keyTag}`;
		};
		expect(ruleFor(["latest:1", "oldest:1"])).toBe("keep-latest symbol");
		expect(ruleFor(["oldest:1", "latest:1"])).toBe("drop-oldest ");
		expect(ruleFor([])).toBe("disconnect ");
	});

	it("publishes where its channels permit it, and receivers see its user; elsewhere it is closed with 3507", async () => {
		const rig = new RawRig(config);
		const send = (session: RawSession) => {
			(session.transport as unknown as FakeTransport).peer.send("x");
			return session.leaving;
		};
		expect(send((await rig.ask(`channels=chat:1&token=${ann}`)) as RawSession)).toBe(0);
		expect(rig.published).toEqual([[["chat:1"], "ann"]]);
		expect(send((await rig.ask(`channels=chat:1,news:1&token=${ann}`)) as RawSession), "one of its channels does not permit it").toBe(3507);
		expect(send((await rig.ask(`token=${ann}`)) as RawSession), "to everybody").toBe(3507);
		rig.reload({ clientPublish: "on" });
		expect(send((await rig.ask(`token=${ann}`)) as RawSession), "to everybody, with --client-publish on").toBe(0);
		rig.reload({ clientPublish: "off" });
		expect(send((await rig.ask(`channels=chat:1&token=${ann}`)) as RawSession), "with --client-publish off").toBe(3507);
		expect(rig.published.length).toBe(2);
	});

	it("is closed with 3005 25 s after its token has expired", async () => {
		const rig = new RawRig(config);
		const session = (await rig.ask(`channels=news:1&token=${await tokenOf({ sub: "ann", exp: now() + 60 })}`)) as RawSession;
		const forever = (await rig.ask(`channels=news:1&token=${ann}`)) as RawSession;
		expect(rig.endpoint.expiry.count).toBe(1);
		for (let passed = 0; passed < 84; passed++, rig.seconds++) rig.endpoint.everySecond();
		expect(session.leaving, "within the delay").toBe(0);
		for (let passed = 0; passed < 4; passed++, rig.seconds++) rig.endpoint.everySecond();
		expect([session.leaving, forever.leaving]).toEqual([3005, 0]);
		expect(session.closeFrame(3005)).toEqual({ code: 3005, reason: "connection expired" });
	});

	it("leaves nothing behind when it disconnects while its token is verified, or later", async () => {
		const rig = new RawRig(config);
		const outcome = rig.endpoint.connect(rawRequest(`token=${ann}`));
		if (!("decided" in outcome)) throw new Error("let in at once");
		expect(rig.admitted).toBe(1);
		outcome.abandon();
		await outcome.decided;
		expect(rig.kept, "abandoned").toBe(0);
		await rig.ask(`channels=closed:1&token=${ann}`);
		expect(rig.kept, "refused").toBe(0);
		const session = (await rig.ask(`channels=chat:1&token=${await tokenOf({ sub: "ann", exp: now() + 60 })}`)) as RawSession;
		(session.transport as unknown as FakeTransport).peer.send("x");
		expect(rig.kept).toBeGreaterThan(3);
		session.closed(1000);
		expect(rig.kept, "closed").toBe(0);
	});

	it("is closed together with its user, with the code and reason of the backend", async () => {
		const rig = new RawRig(config);
		const [first, second] = [(await rig.ask(`token=${ann}`)) as RawUserSession, (await rig.ask(`token=${ann}`)) as RawUserSession];
		const other = (await rig.ask(`token=${await tokenOf({ sub: "bob" })}`)) as RawUserSession;
		const users = new Users({ connected: new ConnectedUsers(), rawClients: rig.endpoint.clientsOf } as never as UsersParts);
		expect(users.disconnect({ user: "ann", client: second.id, code: 3503, reason: "force disconnect" })).toBe(1);
		expect([first.leaving, second.leaving, other.leaving]).toEqual([0, 3503, 0]);
		expect(users.disconnect({ user: "ann", whitelist: [first.id], code: 4000, reason: "bye" }), "all are on the list, or gone").toBe(0);
		expect(users.disconnect({ user: "ann", code: 4000, reason: "bye" })).toBe(1);
		expect([first.leaving, first.closeFrame(4000)]).toEqual([4000, { code: 4000, reason: "bye" }]);
		expect(other.leaving).toBe(0);
	});

	it("is refused when the server starts to drain while its token is verified, and leaves nothing behind", async () => {
		const rig = new RawRig(config);
		const answer = rig.ask(`channels=news:1&token=${ann}`);
		rig.stopping = { status: 503, body: "stopping", headers: {}, close: true };
		expect(await answer).toMatchObject({ status: 503, body: "stopping" });
		expect(rig.kept).toBe(0);
	});

	it("is refused when the server fills up while its token is verified", async () => {
		const rig = new RawRig({ ...config, allowAnonymousConnect: true });
		rig.row.connectionsGiven = 1;
		const answers = await Promise.all([rig.ask(`channels=news:1&token=${ann}`), rig.ask(`channels=news:1&token=${ann}`)]);
		// Signatures are checked on other threads: either may be done first.
		expect(answers.map((answer) => ("status" in answer ? answer.status : 0)).sort(), "0 = let in").toEqual([0, 503]);
		expect(rig.admitted).toBe(1);
	});
});

it("a client without a token is told all ways to send one, including the cookie", async () => {
	const told = async (values: Partial<Config>) => {
		const answer = (await new RawRig({ ...config, ...values }).ask("")) as { readonly status: number; readonly body: string };
		return [answer.status, (JSON.parse(answer.body) as { error: { message: string } }).error.message];
	};
	expect(await told({})).toEqual([401, "this server needs a token: ?token=…, or Authorization: Bearer"]);
	expect(await told({ rawTokenCookie: "jwt" })).toEqual([
		401,
		"this server needs a token: ?token=…, Authorization: Bearer, or the cookie jwt",
	]);
});

it("drops that a reload allows also apply to raw clients that were connected before", async () => {
	const rig = new RawRig({ ...config, requireAuth: false });
	const { transport } = (await rig.ask("channels=news:1")) as RawSession;
	(transport as FakeTransport).peer.pause();
	transport.send("x".repeat(30_000), false);
	const clientsInLanes = () => {
		rig.lanes.published(1_000_000);
		rig.lanes.beforeTurn();
		return rig.lanes.count;
	};
	expect(clientsInLanes(), "its namespace lets nothing be dropped").toBe(0);
	rig.reload({ channelNamespaces: [namespace("news", { slowClient: "drop-oldest" })] });
	expect(clientsInLanes(), "it lets publications be dropped now").toBe(1);
});

describe("others see a raw client with a token", () => {
	const shown = {
		...config,
		channelNamespaces: [
			namespace("room", { allowSubscribeForClient: true, presence: true, joinLeave: true }),
			namespace("listed", { allowSubscribeForClient: true, presence: true }),
			namespace("news", { allowSubscribeForClient: true }),
		],
	};
	const channels = "channels=room:1,listed:1,news:1";

	it("in presence and by joins and leaves, where the namespace has these, until it disconnects or is closed", async () => {
		const rig = new RawRig(shown);
		const token = await tokenOf({ sub: "bob", info: { name: "Bob" }, subs: { "room:1": { info: { role: "host" } } } });
		const [first, second] = [
			(await rig.ask(`${channels}&token=${ann}`)) as RawUserSession,
			(await rig.ask(`${channels}&token=${token}`)) as RawUserSession,
		];
		expect(rig.announced).toEqual(["join room:1 ann", 'join room:1 bob {"role":"host"}']);
		expect(rig.presence.clients("room:1")).toEqual([
			{ client: first.id, user: "ann", info: '{"name":"Ann"}' },
			{ client: second.id, user: "bob", info: '{"name":"Bob"}', channelInfo: '{"role":"host"}' },
		]);
		expect([rig.presence.count("listed:1"), rig.presence.count("news:1")]).toEqual([2, 0]);
		rig.announced.length = 0;
		first.closed(1000);
		second.disconnect(3503, "force disconnect");
		expect(rig.announced, "each leaves once").toEqual(["leave room:1 ann", 'leave room:1 bob {"role":"host"}']);
		expect([rig.announced.length, rig.kept]).toEqual([2, 0]);
	});

	it("by the options when it connected: after a reload it does not leave where it has not joined", async () => {
		const rig = new RawRig({ ...shown, requireAuth: false });
		const [early, unknown] = [(await rig.ask(`${channels}&token=${ann}`)) as RawUserSession, (await rig.ask(channels)) as RawSession];
		rig.reload({ channelNamespaces: [namespace("news", { presence: true, joinLeave: true }), namespace("room", {})] });
		for (const session of [early, unknown]) session.closed(1000);
		expect(rig.announced, "one without a token is not shown").toEqual(["join room:1 ann", "leave room:1 ann"]);
		expect(rig.kept).toBe(0);
	});

	it("among the connections of its user", async () => {
		const rig = new RawRig(shown);
		const client = (await rig.ask(`channels=room:1,news:1&token=${ann}`)) as RawUserSession;
		const inventory = new Inventory({ connected: new ConnectedUsers(), rawClients: rig.endpoint.clientsOf } as never as InventoryParts);
		expect(inventory.connections("ann")).toEqual([
			{ client: client.id, user: "ann", transport: "websocket", protocol: "raw", channels: ["room:1", "news:1"] },
		]);
		expect(inventory.connections("bob")).toEqual([]);
		client.close(1001);
		expect(inventory.connections("ann"), "one that is being closed").toEqual([]);
	});
});

it("the backend changes the expiry and the info of a raw client", async () => {
	const rig = new RawRig(config);
	const ask = async () => (await rig.ask(`channels=chat:1&token=${await tokenOf({ sub: "ann", exp: now() + 60 })}`)) as RawUserSession;
	const [first, second] = [await ask(), await ask()];
	const unixTime = () => now() + rig.seconds - 1000;
	const users = new Users({ connected: new ConnectedUsers(), rawClients: rig.endpoint.clientsOf, unixTime } as never as UsersParts);
	const later = { user: "ann", client: first.id, expired: false, expireAt: now() + 600, info: '{"name":"A"}' };
	expect(users.refresh(later)).toBe(1);
	expect(Buffer.from(first.info!).toString()).toBe('{"name":"A"}');
	rig.seconds += 120;
	rig.endpoint.everySecond();
	expect([first.leaving, second.leaving], "the one that was not refreshed has expired").toEqual([0, 3005]);
	expect(users.refresh({ user: "ann", expired: true })).toBe(1);
	expect([first.leaving, first.closeFrame(3005)]).toEqual([3005, { code: 3005, reason: "connection expired" }]);
});

describe("without required authentication", () => {
	it("a raw client is admitted at once; if it sends a token, that is verified", async () => {
		const rig = new RawRig({ ...config, requireAuth: false });
		expect(await rig.hears("")).toEqual([]);
		expect(rig.endpoint.channelSets.unfiltered.entered).toBe(1);
		expect(await rig.hears("channels=closed:1")).toEqual(["closed:1"]);
		expect(await rig.hears(`channels=closed:1&token=${ann}`)).toEqual(["closed:1"]);
		expect(await rig.hears("token=wrong")).toBe(401);
	});

	it("clients without a token stay when a reload requires authentication but allows anonymous clients", async () => {
		const rig = new RawRig({ ...config, requireAuth: false, allowAnonymousConnect: true });
		const unknown = (await rig.ask("")) as RawSession;
		rig.reload({ requireAuth: true });
		expect(unknown.leaving).toBe(0);
		rig.reload({ requireAuth: false, allowAnonymousConnect: false });
		rig.reload({ requireAuth: true });
		expect(unknown.leaving).toBe(3011);
	});

	it("clients without a token are closed with 3011 when a reload requires authentication: they reconnect and need one", async () => {
		const rig = new RawRig({ ...config, requireAuth: false });
		const [unknown, known] = [(await rig.ask("")) as RawSession, (await rig.ask(`token=${ann}`)) as RawSession];
		rig.reload({ messageRate: 5 });
		expect(unknown.leaving).toBe(0);
		rig.reload({ requireAuth: true });
		expect([unknown.leaving, known.leaving]).toEqual([3011, 0]);
		expect(unknown.closeFrame(3011)).toEqual({ code: 3011, reason: "force reconnect" });
		expect(await rig.hears("")).toBe(401);
	});
});

it("a user's connection beyond client.user_connection_limit gets 429; its slot and everything else is released", async () => {
	const rig = new RawRig({ ...config, userConnectionLimit: 2 });
	const bob = await tokenOf({ sub: "bob" });
	const join = (token: string) => rig.ask(`channels=news:a&token=${token}`);
	const isIn = async (token: string) => !("status" in (await join(token)));
	const first = (await join(ann)) as RawSession;
	expect([await isIn(ann), await isIn(ann), await isIn(bob)]).toEqual([true, false, true]);
	expect(await rig.hears(`channels=news:a&token=${ann}`)).toBe(429);
	expect(rig.row.get("refusedPerUser")).toBe(2);
	first.closed(1000);
	expect([await isIn(ann), await isIn(ann)]).toEqual([true, false]);
	for (const session of rig.sessions.snapshot()) session.closed(1000);
	expect(rig.kept).toBe(0);
});

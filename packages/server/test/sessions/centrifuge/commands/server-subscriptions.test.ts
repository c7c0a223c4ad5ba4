import { type Config, defaultConfig } from "@shardcast/config";
import {
	channelCountsQuestion,
	connectionsQuestion,
	disconnectQuestion,
	nodesQuestion,
	refreshQuestion,
	subscribeQuestion,
	unsubscribeQuestion,
} from "@shardcast/control";
import { describe, expect, it, vi } from "vitest";
import { type CentrifugeClient, CentrifugeRig } from "../../../support/centrifuge-rig.ts";
import { tokenOf, tokenSecret } from "../../../support/tokens.ts";

const plain = defaultConfig().channelWithoutNamespace;
const config: Partial<Config> = { clientInsecure: false, tokenHmacSecret: tokenSecret, allowAnonymousConnect: true };
const history = { historySize: 400, historyTtlMs: 60_000 };
const limits = { size: 400, ttlMs: 60_000, metaTtlMs: 60_000 };

async function connect(rig: CentrifugeRig, claims: object | null, more: object = {}): Promise<CentrifugeClient> {
	const client = rig.open();
	client.send({ connect: { ...(claims !== null && { token: await tokenOf({ ...claims }) }), ...more }, id: 1 });
	await client.settled();
	return client;
}

const subsOf = (client: CentrifugeClient) => (client.replies()[0] as { connect: { subs?: object } }).connect.subs;

describe("a client that connects", () => {
	it("is subscribed to the channels of its token, and told so in the reply", async () => {
		const client = await connect(new CentrifugeRig(config), { sub: "ann", channels: ["a", "$b"] });
		expect(subsOf(client)).toEqual({ a: {}, $b: {} });
		expect(client.session.channels).toEqual(["a", "$b"]);
	});

	it("gets what its token specifies for each: data, info for others, options", async () => {
		const rig = new CentrifugeRig({ ...config, channelWithoutNamespace: { ...plain, ...history } });
		const override = { presence: { value: true }, force_recovery: { value: true } };
		const client = await connect(rig, { sub: "ann", subs: { a: { data: { x: 1 }, info: { role: "host" }, override }, b: {} } });
		expect(subsOf(client)).toEqual({ a: { data: { x: 1 }, recoverable: true, positioned: true, epoch: expect.any(String) }, b: {} });
		expect(rig.endpoint.subscribers.presence.clients("a")).toEqual([
			{ client: client.session.id, user: "ann", channelInfo: '{"role":"host"}' },
		]);
		expect(rig.endpoint.subscribers.presence.clients("b")).toEqual([]);
	});

	it("gets up to 4 MiB, plus one channel; its other channels with missed publications are not recovered", async () => {
		const rig = new CentrifugeRig({ ...config, channelWithoutNamespace: { ...plain, ...history, forceRecovery: true } });
		const names = ["a", "b", "c", "d"];
		for (const name of names) rig.log.publish(name, Buffer.from("1"), { history: limits });
		while (rig.reader.read(1000, () => {}) > 0);
		const large = Buffer.from(JSON.stringify("x".repeat(3 * 1024 * 1024)));
		const read = rig.log.history.bind(rig.log);
		vi.spyOn(rig.log, "history").mockImplementation((...args) => {
			const found = read(...args);
			return found && { ...found, publications: found.publications.map((publication) => ({ ...publication, data: large })) };
		});
		const subs = Object.fromEntries(names.map((name) => [name, { recover: true, offset: name === "d" ? 1 : 0 }]));
		const client = await connect(rig, { sub: "ann", channels: names }, { subs });
		const found = Object.values(subsOf(client) as Record<string, { recovered?: boolean; publications?: unknown[] }>);
		expect(found.map(({ recovered, publications }) => [recovered, publications?.length])).toEqual([
			[true, 1],
			[true, 1],
			[undefined, undefined],
			[true, undefined],
		]);
	});

	it("gets what it missed in channels with recovery", async () => {
		const rig = new CentrifugeRig({ ...config, channelWithoutNamespace: { ...plain, ...history, forceRecovery: true } });
		const epoch = rig.log.position("a")!.epoch;
		for (const payload of ["1", "2", "3"]) rig.log.publish("a", Buffer.from(payload), { history: limits });
		while (rig.reader.read(1000, () => {}) > 0);
		const client = await connect(rig, { sub: "ann", channels: ["a"] }, { subs: { a: { recover: true, offset: 1, epoch } } });
		expect(subsOf(client)).toEqual({
			a: {
				recoverable: true,
				positioned: true,
				was_recovering: true,
				recovered: true,
				epoch,
				offset: 1,
				publications: [
					{ data: 2, offset: 2 },
					{ data: 3, offset: 3 },
				],
			},
		});
		expect([rig.row.get("recoveries"), rig.row.get("recoveredPublications")]).toEqual([1, 2]);
		const lost = await connect(rig, { sub: "ann", channels: ["a"] }, { subs: { a: { recover: true, offset: 1, epoch: "_", flag: 2 } } });
		expect(subsOf(lost)).toMatchObject({ a: { was_recovering: true, offset: 3 } });
		expect(rig.row.get("recoveriesFailed")).toBe(1);
	});

	it("is subscribed to those requested channels that it may subscribe to, and not to others", async () => {
		const rig = new CentrifugeRig({ ...config, channelWithoutNamespace: { ...plain, allowSubscribeForClient: true } });
		expect(subsOf(await connect(rig, { sub: "ann" }, { subs: { a: {}, $b: {}, é: {} } }))).toEqual({ a: {} });
		expect(subsOf(await connect(rig, null, { subs: { a: {} } }))).toBeUndefined();
		expect((await (await connect(rig, { sub: "ann" }, { subs: { "no:where": {} } })).ended).code).toBe(3501);
	});

	it("has its personal channel, if that is enabled", async () => {
		const namespaces = [{ ...plain, name: "personal", presence: true }];
		const personal = { personalChannelEnabled: true, personalChannelNamespace: "personal", channelNamespaces: namespaces };
		const rig = new CentrifugeRig({ ...config, ...personal });
		expect(subsOf(await connect(rig, { sub: "42" }))).toEqual({ "personal:#42": {} });
		expect(subsOf(await connect(rig, null))).toBeUndefined();
		const without = new CentrifugeRig({ ...config, personalChannelEnabled: true });
		expect(subsOf(await connect(without, { sub: "42" }))).toEqual({ "#42": {} });
	});

	it("closes the user's earlier connections with 3504, if only one is allowed", async () => {
		const rig = new CentrifugeRig({ ...config, personalChannelEnabled: true, singleConnection: true });
		const [first, other] = [await connect(rig, { sub: "42" }), await connect(rig, { sub: "43" })];
		const second = await connect(rig, { sub: "42" });
		expect(await first.ended).toEqual({ code: 3504, reason: "connection limit" });
		expect([second.session.isGone, other.session.isGone]).toEqual([false, false]);
	});

	it.each<[string, object]>([["a namespace that does not exist", { channels: ["no:where"] }]])(
		"%s in its token: error 102",
		async (_what, claims) => {
			const client = await connect(new CentrifugeRig(config), claims);
			expect(client.replies()).toMatchObject([{ id: 1, error: { code: 102 } }]);
		},
	);

	it("is closed with 3505 if it has more channels than its limit", async () => {
		const channels = Array.from({ length: 129 }, (_, index) => `c${index}`);
		expect((await (await connect(new CentrifugeRig(config), { channels })).ended).code).toBe(3505);
		expect((await connect(new CentrifugeRig(config), { channels: channels.slice(1) })).session.channels).toHaveLength(128);
	});

	it("cannot subscribe to them again (105) or send a token for them (3501)", async () => {
		const client = await connect(new CentrifugeRig(config), { sub: "ann", channels: ["a"] });
		client.replies();
		client.send({ subscribe: { channel: "a" }, id: 2 });
		expect(client.replies()).toMatchObject([{ error: { code: 105 } }]);
		client.send({ sub_refresh: { channel: "a", token: "x" }, id: 3 });
		expect((await client.ended).code).toBe(3501);
	});
});

it("a new token with other channels closes the connection with 3010; with the same ones it stays open", async () => {
	for (const [before, after, code] of [
		[["a"], ["a"], 0],
		[["a"], ["a", "b"], 3010],
		[["a", "b"], ["a"], 3010],
	] as const) {
		const client = await connect(new CentrifugeRig(config), { sub: "ann", channels: before });
		client.send({ refresh: { token: await tokenOf({ sub: "ann", channels: after }) }, id: 2 });
		await vi.waitFor(() => expect(client.session.backlog === null || client.session.isGone).toBe(true), { timeout: 8_000 });
		expect(client.session.leaving).toBe(code);
	}
});

describe("the backend's operations on a user", () => {
	async function threeClients(more: Partial<Config> = {}) {
		const rig = new CentrifugeRig({ ...config, ...more });
		const clients = [await connect(rig, { sub: "ann" }), await connect(rig, { sub: "ann" }), await connect(rig, { sub: "bob" })] as const;
		for (const client of clients) client.replies();
		return { rig, clients, ask: rig.questions };
	}

	it("subscribe: all connections of the user, which get a push; existing subscriptions stay; unsubscribe: 2000", async () => {
		const { rig, clients, ask } = await threeClients({ channelWithoutNamespace: { ...plain, ...history, forceRecovery: true } });
		const [first, second, other] = clients;
		expect(await ask.ask(subscribeQuestion, { user: "ann", channel: "a", data: '{"x":1}' })).toBe(2);
		const push = { push: { channel: "a", subscribe: { recoverable: true, positioned: true, epoch: expect.any(String), data: { x: 1 } } } };
		expect([first.replies(), second.replies(), other.replies()]).toEqual([[push], [push], []]);
		expect(await ask.ask(subscribeQuestion, { user: "ann", channel: "a" })).toBe(0);
		expect(await ask.ask(unsubscribeQuestion, { user: "ann", channel: "a", client: first.session.id })).toBe(1);
		expect(first.replies()).toEqual([{ push: { channel: "a", unsubscribe: { code: 2000, reason: "server unsubscribe" } } }]);
		expect([first.session.channels, second.session.channels]).toEqual([[], ["a"]]);
		expect(rig.endpoint.subscribers.audiences.channelCount).toBe(1);
	});

	it("an expired subscription closes the connection with 3006", async () => {
		const { rig, clients, ask } = await threeClients();
		await ask.ask(subscribeQuestion, { user: "bob", channel: "a", expireAt: Date.now() / 1000 - 30 });
		rig.seconds += 2;
		rig.endpoint.heartbeats.tick();
		expect(await clients[2].ended).toEqual({ code: 3006, reason: "subscription expired" });
	});

	it("disconnect: all connections of the user or one of them, with any code and reason", async () => {
		const { clients, ask } = await threeClients();
		const [first, second, other] = clients;
		expect(await ask.ask(disconnectQuestion, { user: "ann", client: second.session.id, code: 4001, reason: "bye" })).toBe(1);
		expect(await second.ended).toEqual({ code: 4001, reason: "bye" });
		expect([first.session.isGone, other.session.isGone]).toEqual([false, false]);
		expect(await ask.ask(disconnectQuestion, { user: "ann", code: 3503, reason: "force disconnect" })).toBe(1);
		expect(await first.ended).toEqual({ code: 3503, reason: "force disconnect" });
	});

	it("disconnect: not those on the whitelist; a session id selects one", async () => {
		const { clients, ask } = await threeClients();
		const [first, second] = clients;
		const code = { code: 3503, reason: "force disconnect" };
		expect(await ask.ask(disconnectQuestion, { user: "ann", session: "another", ...code })).toBe(0);
		expect(await ask.ask(disconnectQuestion, { user: "ann", whitelist: [first.session.id], ...code })).toBe(1);
		expect([first.session.isGone, second.session.isGone]).toEqual([false, true]);
	});

	it("refresh: the client is told when it expires, and its info changes; `expired` closes it with 3005", async () => {
		const { clients, ask } = await threeClients();
		const [first, second] = clients;
		const expireAt = Math.floor(Date.now() / 1000) + 100;
		expect(await ask.ask(refreshQuestion, { user: "ann", client: first.session.id, expired: false, expireAt, info: '{"x":1}' })).toBe(1);
		expect(first.replies()).toEqual([{ push: { refresh: { expires: true, ttl: expect.any(Number) } } }]);
		expect([first.session.expiresAt, Buffer.from(first.session.info!).toString()]).toEqual([expireAt, '{"x":1}']);
		expect(await ask.ask(refreshQuestion, { user: "ann", client: second.session.id, expired: true })).toBe(1);
		expect((await second.ended).code).toBe(3005);
	});

	it("subscribe with recover_since: later publications follow the push", async () => {
		const { rig, clients, ask } = await threeClients({ channelWithoutNamespace: { ...plain, ...history, forceRecovery: true } });
		const limits = { size: 10, ttlMs: 60_000, metaTtlMs: 60_000 };
		for (const text of ["1", "2", "3"]) rig.log.publish("a", Buffer.from(text), { history: limits });
		const { epoch } = rig.log.position("a")!;
		while (rig.reader.read(1000, () => {}) > 0);
		expect(await ask.ask(subscribeQuestion, { user: "bob", channel: "a", recoverSince: { offset: 1, epoch } })).toBe(1);
		expect(clients[2].replies()).toEqual([
			{ push: { channel: "a", subscribe: { recoverable: true, positioned: true, epoch, offset: 1 } } },
			{ push: { channel: "a", pub: { data: 2, offset: 2 } } },
			{ push: { channel: "a", pub: { data: 3, offset: 3 } } },
		]);
	});

	it("override applies to the subscriptions of that call", async () => {
		const { rig, ask } = await threeClients();
		await ask.ask(subscribeQuestion, { user: "ann", channel: "a", override: { presence: true } });
		expect(rig.endpoint.subscribers.presence.count("a")).toBe(2);
	});

	it("channels, connections and nodes: describe the shard", async () => {
		const { clients, ask } = await threeClients();
		await ask.ask(subscribeQuestion, { user: "ann", channel: "a1" });
		await ask.ask(subscribeQuestion, { user: "bob", channel: "b" });
		expect(await ask.ask(channelCountsQuestion, { patterns: ["*"] })).toEqual({ a1: 2, b: 1 });
		expect(await ask.ask(channelCountsQuestion, { patterns: ["a?"] })).toEqual({ a1: 2 });
		const bob = { client: clients[2].session.id, user: "bob", transport: "websocket", protocol: "json", channels: ["b"] };
		expect(await ask.ask(connectionsQuestion, { user: "bob" })).toEqual([bob]);
		expect(await ask.ask(nodesQuestion, null)).toMatchObject([{ name: "shard-0", clients: 3, users: 2, subscriptions: 3, channels: 2 }]);
	});
});

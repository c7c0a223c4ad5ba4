import type { Config } from "@shardcast/config";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type CentrifugeClient, CentrifugeRig } from "../support/centrifuge-rig.ts";
import { channels, HookBackend } from "../support/hook-backend.ts";
import { connected, pass, soon, told } from "../support/hook-steps.ts";
import { tokenOf, tokenSecret } from "../support/tokens.ts";

let backend: HookBackend;
const rigs: CentrifugeRig[] = [];
beforeEach(async () => {
	backend = await HookBackend.start();
});
afterEach(() => {
	vi.useRealTimers();
	for (const rig of rigs.splice(0)) rig.endpoint.stop();
	backend.stop();
});

const now = () => Math.floor(Date.now() / 1000);

function rigWith(options: Parameters<typeof channels>[0], more: Partial<Config> = {}): CentrifugeRig {
	const { enabled: _, ...named } = backend.at("/named");
	const rig = new CentrifugeRig({
		clientInsecure: false,
		allowAnonymousConnect: true,
		subscribeProxy: backend.at("/subscribe"),
		publishProxy: backend.at("/publish"),
		subRefreshProxy: backend.at("/sub_refresh"),
		proxies: [{ name: "named", ...named }],
		...channels(options),
		...more,
	});
	rigs.push(rig);
	return rig;
}

describe("with a subscribe hook", () => {
	it("the backend permits each subscription, and adds data and options", async () => {
		const rig = rigWith({ subscribeProxyEnabled: true });
		const result = { data: { hello: 1 }, info: { role: "admin" }, override: { presence: { value: true } }, expire_at: now() + 100 };
		backend.replies.set("/subscribe", { result });
		const client = connected(rig);
		const [reply] = await told(client, { subscribe: { channel: "a", data: { x: 1 } } });
		expect(reply).toMatchObject({ id: 2, subscribe: { data: { hello: 1 }, expires: true } });
		expect(backend.bodies("/subscribe")).toMatchObject([{ client: client.session.id, user: "", channel: "a", data: { x: 1 } }]);
		const subscription = client.session.subscriptions.get("a")!;
		expect([String(subscription.grant!.info), subscription.isPresent]).toEqual(['{"role":"admin"}', true]);
	});

	it("an empty reply permits; an error, a failure or a disconnect does not", async () => {
		const rig = rigWith({ subscribeProxyEnabled: true });
		const client = connected(rig);
		expect(await told(client, { subscribe: { channel: "a" } })).toEqual([{ id: 2, subscribe: {} }]);
		backend.replies.set("/subscribe", { error: { code: 403, message: "denied" } });
		expect(await told(client, { subscribe: { channel: "b" } })).toEqual([{ id: 2, error: { code: 403, message: "denied" } }]);
		backend.replies.set("/subscribe", "<html>");
		expect(await told(client, { subscribe: { channel: "b" } })).toMatchObject([{ error: { code: 100, temporary: true } }]);
		expect(client.session.channels).toEqual(["a"]);
		backend.replies.set("/subscribe", { disconnect: { code: 4000, reason: "out" } });
		client.send({ id: 3, subscribe: { channel: "b" } });
		expect(await client.ended).toEqual({ code: 4000, reason: "out" });
		expect(rig.kept).toBe(0);
	});

	it("the backend is not asked about private channels, user-limited channels, and channels in the connect command", async () => {
		const rig = rigWith({ subscribeProxyEnabled: true, allowUserLimitedChannels: true, allowSubscribeForClient: true });
		const client = rig.open();
		await told(client, { connect: { subs: { a: {} } } });
		expect(client.session.channels, "without asking the backend").toEqual([]);
		expect(await told(client, { subscribe: { channel: "$private" } })).toMatchObject([{ error: { code: 103 } }]);
		expect(await told(client, { subscribe: { channel: "room#42" } })).toMatchObject([{ error: { code: 103 } }]);
		expect(backend.asked).toEqual([]);
	});

	it("a status may be mapped to an error", async () => {
		const http = {
			...backend.at("").http,
			statusTransforms: [transform(404, { toError: { code: 404, message: "gone", temporary: false } })],
		};
		const rig = rigWith({ subscribeProxyEnabled: true }, { subscribeProxy: backend.at("/subscribe", { http }) });
		backend.replies.set("/subscribe", 404);
		expect(await told(connected(rig), { subscribe: { channel: "a" } })).toEqual([{ id: 2, error: { code: 404, message: "gone" } }]);
	});

	it("the namespace chooses one of several named backends", async () => {
		const rig = rigWith({ subscribeProxyEnabled: true, subscribeProxyName: "named" });
		await told(connected(rig), { subscribe: { channel: "a" } });
		expect(backend.asked.map(({ path }) => path)).toEqual(["/named"]);
	});
});

const transform = (statusCode: number, meaning: object) => ({
	statusCode,
	toError: { code: 0, message: "", temporary: false },
	toDisconnect: { code: 0, reason: "" },
	...meaning,
});

describe("with a publish hook", () => {
	it("the backend sees each publication, and may replace it or keep it out of the history", async () => {
		const rig = rigWith({ publishProxyEnabled: true });
		const client = connected(rig);
		expect(await told(client, { publish: { channel: "a", data: { n: 1 } } })).toEqual([{ id: 2, publish: {} }]);
		backend.replies.set("/publish", '{"result": {"data": { "n": 2 }}}');
		await told(client, { publish: { channel: "a", data: { n: 1 } } });
		expect(backend.bodies("/publish")).toMatchObject([
			{ channel: "a", data: { n: 1 } },
			{ channel: "a", data: { n: 1 } },
		]);
		expect(rig.published.map(({ payload }) => payload)).toEqual(['{"n":1}', '{ "n": 2 }']);
		const details: unknown[] = [];
		rig.incoming = {
			fromClient: (...args) => {
				details.push(args[4]?.skipHistory);
				return rig.result;
			},
		};
		backend.replies.set("/publish", { result: { skip_history: true } });
		await told(client, { publish: { channel: "a", data: 1 } });
		expect(details).toEqual([true]);
	});

	it("a publication that the backend refuses or replaces by one that is too long is not published", async () => {
		const rig = rigWith({ publishProxyEnabled: true }, { maxPayloadBytes: 100 });
		const client = connected(rig);
		backend.replies.set("/publish", { error: { code: 1000, message: "no" } });
		expect(await told(client, { publish: { channel: "a", data: 1 } })).toMatchObject([{ error: { code: 1000 } }]);
		backend.replies.set("/publish", { result: { data: "x".repeat(99) } });
		expect(await told(client, { publish: { channel: "a", data: 1 } })).toMatchObject([{ error: { code: 106 } }]);
		backend.replies.set("/publish", { result: { data: "x".repeat(98) } });
		expect(await told(client, { publish: { channel: "a", data: 1 } })).toEqual([{ id: 2, publish: {} }]);
		expect(rig.published).toHaveLength(1);
	});

	it("publications of one client keep their order, and those of one that has left are not published", async () => {
		const rig = rigWith({ publishProxyEnabled: true });
		let answer!: () => void;
		backend.replies.set("/publish", new Promise((resolve) => (answer = () => resolve({}))));
		const client = connected(rig);
		client.send({ id: 2, publish: { channel: "a", data: 1 } }, { id: 3, publish: { channel: "a", data: 2 } });
		await soon(() => expect(backend.asked, "questions").toHaveLength(1));
		answer();
		await client.settled();
		expect(rig.published.map(({ payload }) => payload)).toEqual(["1", "2"]);
		backend.replies.set("/publish", new Promise(() => {}));
		client.send({ id: 4, publish: { channel: "a", data: 3 } });
		await soon(() => expect(backend.asked, "questions").toHaveLength(3));
		client.transport.close();
		await soon(() => expect(backend.gone).toBe(1));
		expect([rig.published.length, rig.kept]).toEqual([2, 0]);
	});
});

it("a drain waits for pending answers, but only up to its deadline", async () => {
	const rig = rigWith({ publishProxyEnabled: true });
	let answer!: () => void;
	backend.replies.set("/publish", new Promise((resolve) => (answer = () => resolve({}))));
	const client = connected(rig);
	client.send({ id: 2, publish: { channel: "a", data: 1 } });
	await soon(() => expect(backend.asked, "questions").toHaveLength(1));
	await rig.endpoint.drain(1);
	expect(rig.published, "with an answer outstanding").toEqual([]);
	const drained = rig.endpoint.drain(20_000).then(() => "drained");
	const aTurn = new Promise((resolve) => setImmediate(resolve, "waits"));
	expect(await Promise.race([drained, aTurn]), "a drain with a question that has no answer").toBe("waits");
	answer();
	expect(await drained).toBe("drained");
	await client.settled();
	expect(client.replies()).toEqual([{ id: 2, publish: {} }]);
});

describe("with a sub_refresh hook", () => {
	const options = { subscribeProxyEnabled: true, subRefreshProxyEnabled: true };

	/** Subscribed to a channel, for 10 s. */
	async function subscribed(rig: CentrifugeRig): Promise<CentrifugeClient> {
		backend.replies.set("/subscribe", { result: { expire_at: now() + 10, info: { a: 1 } } });
		const client = connected(rig);
		expect(await told(client, { subscribe: { channel: "a" } }), "nothing that has the client refresh").toEqual([{ id: 2, subscribe: {} }]);
		return client;
	}

	it("the backend is asked when a subscription expires, and the client is not", async () => {
		const rig = rigWith(options);
		const client = await subscribed(rig);
		const until = now() + 1000;
		backend.replies.set("/sub_refresh", { result: { expire_at: until } });
		pass(rig, 9);
		expect(backend.bodies("/sub_refresh"), "questions before the time").toEqual([]);
		pass(rig, 3);
		const subscription = client.session.subscriptions.get("a")!;
		await soon(() => expect(subscription.grant!.expiresAt).toBe(until));
		expect(backend.bodies("/sub_refresh")).toMatchObject([{ user: "", channel: "a" }]);
		expect(String(subscription.grant!.info), "info stays as it was").toBe('{"a":1}');
	});

	it.each([
		["expired", { result: { expired: true } }],
		["no result", {}],
	])("a reply ends the subscription: %s", async (_, reply) => {
		const rig = rigWith(options);
		const client = await subscribed(rig);
		backend.replies.set("/sub_refresh", reply);
		pass(rig, 12);
		await soon(() => expect(client.session.channels).toEqual([]));
		expect(client.replies()).toMatchObject([{ push: { channel: "a", unsubscribe: { code: 2501 } } }]);
		expect(client.session.isGone).toBe(false);
	});

	it("a backend that fails does not end subscriptions: it is asked again after a minute", async () => {
		const rig = rigWith(options);
		const client = await subscribed(rig);
		backend.replies.set("/sub_refresh", 500);
		pass(rig, 12);
		const subscription = client.session.subscriptions.get("a")!;
		await soon(() => expect(subscription.grant!.expiresAt).toBeCloseTo(Date.now() / 1000 + 60, 0));
		pass(rig, 62);
		await soon(() => expect(backend.bodies("/sub_refresh"), "questions").toHaveLength(2));
		expect(client.session.channels).toEqual(["a"]);
	});

	it("a token that the client sends while the backend is asked stays, even if the backend then fails", async () => {
		const rig = rigWith(options, { tokenHmacSecret: tokenSecret });
		const client = await subscribed(rig);
		let fail!: () => void;
		backend.replies.set("/sub_refresh", new Promise((resolve) => (fail = () => resolve(500))));
		pass(rig, 12);
		await soon(() => expect(backend.bodies("/sub_refresh"), "questions").toHaveLength(1));
		const token = await tokenOf({ sub: "", channel: "a", jti: "later", exp: now() + 1000 });
		expect(await told(client, { sub_refresh: { channel: "a", token } })).toMatchObject([{ sub_refresh: { expires: true } }]);
		const subscription = client.session.subscriptions.get("a")!;
		const { expiresAt } = subscription.grant!;
		fail();
		await soon(() => expect(subscription.grant!.expiresAt, "the minute").not.toBe(expiresAt));
		expect(subscription.grant!.token?.jti, "by which it can be revoked").toBe("later");
	});

	it("a client that asks by itself gets the backend's answer", async () => {
		const client = await subscribed(rigWith(options));
		backend.replies.set("/sub_refresh", { result: { expire_at: now() + 100 } });
		expect(await told(client, { sub_refresh: { channel: "a" } })).toMatchObject([{ id: 2, sub_refresh: { expires: true } }]);
		backend.replies.set("/sub_refresh", { result: { expired: true } });
		expect(await told(client, { sub_refresh: { channel: "a" } })).toMatchObject([{ id: 2, error: { code: 110 } }]);
	});
});

import { type Config, channelFields, defaultConfig } from "@shardcast/config";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type CentrifugeClient, CentrifugeRig } from "../../../support/centrifuge-rig.ts";
import { tokenOf, tokenSecret } from "../../../support/tokens.ts";

const now = () => Math.floor(Date.now() / 1000);
const plain = defaultConfig().channelWithoutNamespace;
const config: Partial<Config> = { clientInsecure: false, tokenHmacSecret: tokenSecret };

async function connected(rig: CentrifugeRig, claims: object = { sub: "ann" }): Promise<CentrifugeClient> {
	const client = rig.open();
	client.send({ connect: { token: await tokenOf({ ...claims }) }, id: 1 });
	await client.settled();
	client.replies();
	return client;
}

async function answerTo(client: CentrifugeClient, command: object): Promise<unknown> {
	client.send(command);
	await client.settled();
	return client.replies()[0];
}

const subscribe = async (channel: string, claims: object, id = 2) => ({ subscribe: { channel, token: await tokenOf({ ...claims }) }, id });

describe("a subscription token", () => {
	it("permits a private channel, and carries its expiry and data for the client", async () => {
		const client = await connected(new CentrifugeRig(config));
		const claims = { sub: "ann", channel: "$room", exp: now() + 60, info: { role: "visitor" }, data: { topic: "x" } };
		expect(await answerTo(client, await subscribe("$room", claims))).toEqual({
			id: 2,
			subscribe: { expires: true, ttl: expect.toSatisfy((ttl: number) => ttl > 50 && ttl <= 60), data: { topic: "x" } },
		});
		expect(client.session.channels).toEqual(["$room"]);
	});

	it.each<[string, object, number]>([
		["that has expired", { sub: "ann", channel: "$room", exp: now() - 1 }, 109],
		["that is not valid yet", { sub: "ann", channel: "$room", nbf: now() + 60 }, 109],
		["whose subscription ended before it", { sub: "ann", channel: "$room", exp: now() + 60, expire_at: now() - 1 }, 110],
		["without a channel", { sub: "ann" }, 103],
		["with an info that is too long", { sub: "ann", channel: "$room", info: "x".repeat(20_000) }, 103],
		["with a data in Base64 that is none", { sub: "ann", channel: "$room", b64data: "%" }, 103],
		["with an override that is none", { sub: "ann", channel: "$room", override: { presence: true } }, 103],
	])("%s: an error, and the client is not subscribed", async (_what, claims, code) => {
		const client = await connected(new CentrifugeRig(config));
		expect(await answerTo(client, await subscribe("$room", claims))).toMatchObject({ id: 2, error: { code } });
		expect(client.session.channels).toEqual([]);
	});

	it("that is signed with another key or invalid gives 103", async () => {
		const client = await connected(new CentrifugeRig(config));
		const forged = await tokenOf({ sub: "ann", channel: "$room" }, "another secret, as long as that");
		expect(await answerTo(client, { subscribe: { channel: "$room", token: forged }, id: 2 })).toMatchObject({ error: { code: 103 } });
		expect(await answerTo(client, { subscribe: { channel: "$room", token: "x" }, id: 3 })).toMatchObject({ error: { code: 103 } });
	});

	it.each<[string, object]>([
		["another channel", { sub: "ann", channel: "$other" }],
		["another user", { sub: "bob", channel: "$room" }],
		["nobody", { channel: "$room" }],
		["another client", { sub: "ann", channel: "$room", client: "c-1" }],
	])("for %s closes the connection with 3500", async (_what, claims) => {
		const client = await connected(new CentrifugeRig(config));
		client.send(await subscribe("$room", claims));
		expect(await client.ended).toEqual({ code: 3500, reason: "invalid token" });
	});

	it("for this client id is valid", async () => {
		const client = await connected(new CentrifugeRig(config));
		const claims = { sub: "ann", channel: "$room", client: client.session.id };
		expect(await answerTo(client, await subscribe("$room", claims))).toEqual({ id: 2, subscribe: {} });
	});

	it("does not permit a channel that does not exist", async () => {
		const client = await connected(new CentrifugeRig(config));
		expect(await answerTo(client, await subscribe("no:where", { sub: "ann", channel: "no:where" }))).toMatchObject({
			error: { code: 102 },
		});
	});

	it("with an expire_at of 0 never expires, and neither does any in insecure mode", async () => {
		const secure = await connected(new CentrifugeRig(config));
		expect(await answerTo(secure, await subscribe("$a", { sub: "ann", channel: "$a", exp: now() + 9, expire_at: 0 }))).toEqual({
			id: 2,
			subscribe: {},
		});
		const insecure = await connected(new CentrifugeRig({ ...config, clientInsecure: true }));
		expect(await answerTo(insecure, await subscribe("$a", { sub: "ann", channel: "$a", exp: now() + 9 }))).toEqual({
			id: 2,
			subscribe: {},
		});
	});

	it("may have separate options", async () => {
		const other = "the secret of subscription tokens";
		const rig = new CentrifugeRig({ ...config, subscriptionTokenEnabled: true, subscriptionTokenHmacSecret: other });
		const client = await connected(rig);
		expect(await answerTo(client, await subscribe("$a", { sub: "ann", channel: "$a" }))).toMatchObject({ error: { code: 103 } });
		const token = await tokenOf({ sub: "ann", channel: "$a" }, other);
		expect(await answerTo(client, { subscribe: { channel: "$a", token }, id: 3 })).toEqual({ id: 3, subscribe: {} });
	});

	it("adds info about its client: in presence and in its publications", async () => {
		const rig = new CentrifugeRig({
			...config,
			channelWithoutNamespace: { ...plain, allowPublishForSubscriber: true, allowPresenceForSubscriber: true, presence: true },
		});
		const client = await connected(rig, { sub: "ann", info: { name: "Ann" } });
		await answerTo(
			client,
			await subscribe("$a", { sub: "ann", channel: "$a", b64info: Buffer.from('{"role":"host"}').toString("base64") }),
		);
		const info = { client: client.session.id, user: "ann", conn_info: { name: "Ann" }, chan_info: { role: "host" } };
		expect(await answerTo(client, { presence: { channel: "$a" }, id: 3 })).toEqual({
			id: 3,
			presence: { presence: { [client.session.id]: info } },
		});
		client.send({ publish: { channel: "$a", data: 1 }, id: 4 });
		expect(rig.published.at(-1)!.info).toEqual({
			client: client.session.id,
			user: "ann",
			connInfo: { name: "Ann" },
			chanInfo: { role: "host" },
		});
	});

	it("may override options of the channel for its client", async () => {
		const rig = new CentrifugeRig({ ...config, channelWithoutNamespace: { ...plain, historySize: 10, historyTtlMs: 60_000 } });
		const client = await connected(rig);
		const override = { presence: { value: true }, force_recovery: { value: true } };
		expect(await answerTo(client, await subscribe("$a", { sub: "ann", channel: "$a", override }))).toMatchObject({
			subscribe: { recoverable: true, positioned: true, epoch: expect.any(String) },
		});
		expect(rig.endpoint.subscribers.presence.part("$a").clients).toBe(1);
	});
});

describe("sub_refresh", () => {
	const refresh = async (channel: string, claims: object, id = 3) => ({
		sub_refresh: { channel, token: await tokenOf({ ...claims }) },
		id,
	});

	async function subscribed(rig = new CentrifugeRig(config)): Promise<CentrifugeClient> {
		const client = await connected(rig);
		await answerTo(client, await subscribe("$a", { sub: "ann", channel: "$a", exp: now() + 60 }));
		return client;
	}

	it("accepts another token", async () => {
		const client = await subscribed();
		expect(await answerTo(client, await refresh("$a", { sub: "ann", channel: "$a", exp: now() + 600 }))).toEqual({
			id: 3,
			sub_refresh: { expires: true, ttl: expect.toSatisfy((ttl: number) => ttl > 500) },
		});
	});

	it.each<[string, string, object | null, number]>([
		["of a channel that it is not subscribed to", "$b", { sub: "ann", channel: "$b" }, 103],
		["without a token", "$a", null, 107],
		["with an expired token", "$a", { sub: "ann", channel: "$a", exp: now() - 1 }, 109],
		["with a token whose end has passed", "$a", { sub: "ann", channel: "$a", expire_at: now() - 1 }, 110],
	])("%s: an error", async (_what, channel, claims, code) => {
		const client = await subscribed();
		const command = claims === null ? { sub_refresh: { channel }, id: 3 } : await refresh(channel, claims);
		expect(await answerTo(client, command)).toMatchObject({ id: 3, error: { code } });
		expect(client.session.channels).toEqual(["$a"]);
	});

	it.each<[string, object]>([
		["of another channel", { sub: "ann", channel: "$b" }],
		["of another user", { sub: "bob", channel: "$a" }],
		["without a channel", { sub: "ann" }],
	])("with a token %s: 3500", async (_what, claims) => {
		const client = await subscribed();
		client.send(await refresh("$a", claims));
		expect((await client.ended).code).toBe(3500);
	});

	it("closes with 3501 without a channel", async () => {
		const client = await subscribed();
		client.send({ sub_refresh: { token: "x" }, id: 3 });
		expect((await client.ended).code).toBe(3501);
	});
});

describe("time", () => {
	beforeEach(() => {
		vi.useFakeTimers({ toFake: ["Date"] });
	});
	afterEach(() => {
		vi.useRealTimers();
	});

	it("a subscription ends with 2501 when no other token arrives within 25 s; the others stay", async () => {
		const rig = new CentrifugeRig(config);
		const client = await connected(rig);
		await answerTo(client, await subscribe("$a", { sub: "ann", channel: "$a", exp: now() + 10 }));
		await answerTo(client, await subscribe("$b", { sub: "ann", channel: "$b", exp: now() + 40 }));
		await answerTo(client, await subscribe("$c", { sub: "ann", channel: "$c" }));
		const pushes = (seconds: number): unknown[] => {
			const found: unknown[] = [];
			for (let second = 0; second < seconds; second++) {
				rig.seconds++;
				vi.advanceTimersByTime(1000);
				rig.endpoint.heartbeats.tick();
				for (const message of client.replies())
					if (Object.keys(message as object).length > 0) found.push(message);
					else client.send({});
			}
			return found;
		};
		expect(pushes(33)).toEqual([]);
		expect(pushes(4)).toEqual([{ push: { channel: "$a", unsubscribe: { code: 2501, reason: "subscription expired" } } }]);
		expect(client.session.channels).toEqual(["$b", "$c"]);
		await answerTo(client, {
			sub_refresh: { channel: "$b", token: await tokenOf({ sub: "ann", channel: "$b", exp: now() + 100 }) },
			id: 9,
		});
		expect(pushes(60)).toEqual([]);
		expect(client.session.channels).toEqual(["$b", "$c"]);
		expect(pushes(70)).toEqual([{ push: { channel: "$b", unsubscribe: { code: 2501, reason: "subscription expired" } } }]);
		expect(pushes(1000)).toEqual([]);
		expect(client.session.channels).toEqual(["$c"]);
	});
});

it("the options that tokens override are options of a namespace", () => {
	expect(Object.keys(channelFields)).toEqual(expect.arrayContaining(["presence", "forceRecovery", "forcePositioning"]));
});

import { defaultConfig } from "@shardcast/config";
import { DisconnectCode } from "@shardcast/protocol";
import { closedByCode, closedCounter } from "@shardcast/scoreboard";
import { CloseCode, type PublishResult, publishAccepted, publishFailed, publishFull, publishStopped } from "@shardcast/wire";
import { SignJWT } from "jose";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { CentrifugeSession } from "../../../src/sessions/centrifuge/centrifuge-session.ts";
import { type ClientSessionRig, clientSessionContract } from "../../contracts/session-contract.ts";
import { type CentrifugeClient, CentrifugeRig } from "../../support/centrifuge-rig.ts";

class ContractRig extends CentrifugeRig implements Omit<ClientSessionRig, "kept"> {
	readonly frame = '{"publish":{"channel":"a","data":1},"id":9}';

	create(): CentrifugeSession {
		const session = this.session();
		const { opened } = session;
		session.opened = (transport) => {
			opened.call(session, transport);
			session.frame(new Uint8Array(Buffer.from('{"connect":{},"id":1}\n{"subscribe":{"channel":"a"},"id":2}')).buffer);
		};
		return session;
	}

	handled(): number {
		return this.published.length;
	}
}

it("each disconnect is counted by its code", async () => {
	const ends: readonly [number, (client: CentrifugeClient) => void][] = [
		[3501, (client) => client.send({ nonsense: {}, id: 9 })],
		[3508, (client) => client.send({ send: { data: {} } })],
	];
	for (const [code, end] of ends) {
		const rig = new CentrifugeRig();
		const client = rig.connected();
		end(client);
		expect((await client.ended).code).toBe(code);
		const counters = closedByCode[code]!;
		expect([rig.row.get(counters), rig.row.get("closedOther")], String(code)).toEqual([1, 0]);
	}
});

it("each close code of shardcast has its own counter", () => {
	const counters = [...new Set<number>([...Object.values(DisconnectCode), ...Object.values(CloseCode)])].map(closedCounter);
	expect(counters).not.toContain("closedOther");
	expect(new Set(counters).size).toBe(counters.length);
	expect(closedCounter(4000)).toBe("closedOther");
});

describe("a session of the Centrifuge protocol", () => {
	clientSessionContract(() => {
		const rig = new ContractRig({ messageRate: 100 });
		return {
			sessions: rig.sessions,
			leaving: rig.leaving,
			frame: rig.frame,
			soon: () => rig.soon(),
			create: () => rig.create(),
			handled: () => rig.handled(),
			kept: () => rig.kept,
		};
	});
});

const connect = { connect: {}, id: 1 };
const subscribe = (channel: string, id = 2) => ({ subscribe: { channel }, id });

describe("commands", () => {
	it("connect and the first subscriptions may share a frame, and so do their replies, in order", () => {
		const rig = new CentrifugeRig();
		const client = rig.open();
		client.send(connect, subscribe("a"), subscribe("b", 3), { publish: { channel: "a", data: { x: [1] } }, id: 4 });
		expect(client.frames()).toEqual([
			[
				{ id: 1, connect: { client: expect.any(String), version: expect.any(String), ping: 25, pong: true } },
				{ id: 2, subscribe: {} },
				{ id: 3, subscribe: {} },
				{ id: 4, publish: {} },
			],
		]);
		expect(rig.published).toMatchObject([{ channel: "a", payload: '{"x":[1]}' }]);
		expect(client.session.channels).toEqual(["a", "b"]);
	});

	it("the id may follow the method", () => {
		const client = new CentrifugeRig().open();
		client.send('{"id":7,"connect":{"name":"js"}}');
		expect(client.replies()).toEqual([{ id: 7, connect: expect.anything() }]);
	});

	it("commands behind one that waits also wait, and none of a later frame overtakes them", async () => {
		const rig = new CentrifugeRig();
		const client = rig.connected();
		let finish!: (result: PublishResult) => void;
		rig.result = new Promise((resolve) => {
			finish = resolve;
		});
		client.send({ publish: { channel: "a", data: 1 }, id: 2 }, subscribe("a", 3));
		client.send(subscribe("b", 4));
		client.send(subscribe("c", 5));
		expect(client.replies()).toEqual([]);
		rig.result = publishAccepted;
		finish(publishAccepted);
		await vi.waitFor(() => expect(client.session.backlog).toBeNull(), { timeout: 8_000 });
		expect(client.replies()).toEqual([{ id: 2, publish: {} }, ...[3, 4, 5].map((id) => ({ id, subscribe: {} }))]);
		client.send(subscribe("d", 6));
		expect(client.replies()).toEqual([{ id: 6, subscribe: {} }]);
	});

	it("a client that keeps sending behind one that waits is closed with 3013; nothing is kept of one that disconnects", async () => {
		const rig = new CentrifugeRig({ messageRate: 10_000 });
		const client = rig.connected();
		rig.result = new Promise(() => {});
		for (let id = 2; client.session.leaving === 0; id++) client.send({ publish: { channel: "a", data: "x".repeat(50_000) }, id });
		expect((await client.ended).code).toBe(3013);
		expect(rig.kept).toBe(0);
	});

	it.each<[string, object, number]>([
		["a name that no channel has", subscribe("é"), 107],
		["a name that is too long", subscribe("x".repeat(256)), 107],
		["a namespace that does not exist", subscribe("no:where"), 102],
		["a second subscription", subscribe("a"), 105],
		["a channel with a token", subscribe("$private"), 103],
		["publishing into a namespace that does not exist", { publish: { channel: "no:where", data: 1 }, id: 2 }, 102],
		["rpc", { rpc: { method: "m", data: 1 }, id: 2 }, 108],
		["history that is not kept", { history: { channel: "a" }, id: 2 }, 108],
		["presence that is not kept", { presence: { channel: "a" }, id: 2 }, 108],
		["presence_stats that are not kept", { presence_stats: { channel: "a" }, id: 2 }, 108],
	])("%s: an error, and the connection stays open", (_what, command, code) => {
		const client = new CentrifugeRig().connected();
		client.send(subscribe("a"));
		client.replies();
		client.send(command);
		expect(client.replies()).toEqual([{ id: 2, error: expect.objectContaining({ code, message: expect.any(String) }) }]);
		client.send({ unsubscribe: { channel: "a" }, id: 3 }, { unsubscribe: { channel: "never" }, id: 4 });
		expect(client.replies()).toEqual([
			{ id: 3, unsubscribe: {} },
			{ id: 4, unsubscribe: {} },
		]);
	});

	it("a client may have 128 channels, its limit, and gets 106 for the next", () => {
		const client = new CentrifugeRig().connected();
		client.send(...Array.from({ length: 129 }, (_, index) => subscribe(`c${index}`, index + 2)));
		const replies = client.replies();
		expect(replies).toHaveLength(129);
		expect(replies.slice(0, 128).every((reply) => "subscribe" in (reply as object))).toBe(true);
		expect(replies[128]).toMatchObject({ id: 130, error: { code: 106 } });
	});

	it.each([
		[publishFull, { code: 111, temporary: true }],
		[{ outcome: "full", reason: "readers" } as const, { code: 100, temporary: true }],
		[{ outcome: "too_large", detail: "" } as const, { code: 106 }],
		[publishStopped, { code: 103 }],
		[publishFailed, { code: 100, temporary: true }],
	])("the outcome of a publish: %o", (result, error) => {
		const rig = new CentrifugeRig();
		const client = rig.connected();
		rig.result = result;
		client.send({ publish: { channel: "a", data: 1 }, id: 2 });
		expect(client.replies()).toEqual([{ id: 2, error: expect.objectContaining(error) }]);
	});

	it("a client above --message-rate gets 111", () => {
		const client = new CentrifugeRig({ messageRate: 2 }).connected();
		client.send(...[2, 3, 4].map((id) => ({ publish: { channel: "a", data: 1 }, id })));
		expect(client.replies()).toMatchObject([{ publish: {} }, { publish: {} }, { id: 4, error: { code: 111 } }]);
	});
});

describe("a client that breaks a rule", () => {
	it.each<[string, (client: CentrifugeClient) => void]>([
		["sends something else first", (client) => client.send(subscribe("a"))],
		["sends a pong first", (client) => client.send({})],
		["connects twice", (client) => client.send(connect, connect)],
		["connects with id 0", (client) => client.send({ connect: {} })],
		["subscribes with id 0", (client) => client.send(connect, { subscribe: { channel: "a" } })],
		["answers a ping that was not sent", (client) => client.send(connect, {})],
		["sends an unknown method", (client) => client.send(connect, { dance: {}, id: 2 })],
		["sends no JSON", (client) => client.send(connect, "{")],
		["sends an empty frame", (client) => client.send("")],
		["sends a blank line", (client) => client.send(connect, "", subscribe("a"))],
		["names no channel to subscribe to", (client) => client.send(connect, subscribe(""))],
		["names no channel to unsubscribe from", (client) => client.send(connect, { unsubscribe: {}, id: 2 })],
		["publishes no data", (client) => client.send(connect, { publish: { channel: "a" }, id: 2 })],
	])("%s: 3501", async (_what, act) => {
		const rig = new CentrifugeRig();
		const client = rig.open();
		act(client);
		expect(await client.ended).toEqual({ code: 3501, reason: "bad request" });
		expect(rig.kept).toBe(0);
	});

	it("gets the replies to earlier commands", async () => {
		const client = new CentrifugeRig().open();
		client.send(connect, subscribe("a"), { dance: {}, id: 3 }, subscribe("b", 4));
		expect((await client.ended).code).toBe(3501);
		expect(client.replies()).toMatchObject([{ id: 1 }, { id: 2, subscribe: {} }]);
	});

	it("3508: sends messages to a server without a message handler", async () => {
		const client = new CentrifugeRig().connected();
		client.send({ send: { data: 1 } });
		expect(await client.ended).toEqual({ code: 3508, reason: "not available" });
	});

	it("1009: sends more than 64 KiB in one frame; 64 KiB are accepted", async () => {
		const client = new CentrifugeRig().connected();
		const frame = (bytes: number) => JSON.stringify({ publish: { channel: "a", data: "x".repeat(bytes - 47) }, id: 2 }).padEnd(bytes);
		client.send(frame(65_536));
		expect(client.replies()).toEqual([{ id: 2, publish: {} }]);
		client.send(frame(65_537));
		expect((await client.ended).code).toBe(1009);
	});
});

describe("time", () => {
	beforeEach(() => {
		vi.useFakeTimers({ toFake: ["Date"] });
	});
	afterEach(() => {
		vi.useRealTimers();
	});

	/** Whose clock the test turns. */
	function clocked(options = {}) {
		const rig = new CentrifugeRig(options);
		const tick = rig.endpoint.heartbeats;
		const pass = (seconds: number): void => {
			for (let second = 0; second < seconds; second++) {
				rig.seconds++;
				vi.advanceTimersByTime(1000);
				tick.tick();
			}
		};
		return { rig, pass };
	}

	it("no connect within 10 s: 3502", async () => {
		const { rig, pass } = clocked();
		const client = rig.open();
		pass(9);
		expect(rig.sessions.count).toBe(1);
		pass(3);
		expect(await client.ended).toEqual({ code: 3502, reason: "stale" });
	});

	it("the first ping is sent after half to one interval, the others an interval later; a client that answers stays", () => {
		const { rig, pass } = clocked();
		const client = rig.connected();
		const pings: number[] = [];
		for (let second = 1; second <= 125; second++) {
			pass(1);
			for (const message of client.replies()) {
				expect(message).toEqual({});
				pings.push(second);
				client.send({});
			}
		}
		expect(pings[0]).toBeGreaterThanOrEqual(12);
		expect(pings[0]).toBeLessThanOrEqual(27);
		const gaps = pings.slice(1).map((at, index) => at - pings[index]!);
		expect(gaps.length).toBeGreaterThanOrEqual(3);
		for (const gap of gaps) expect(Math.abs(gap - 25)).toBeLessThanOrEqual(1);
		expect(rig.sessions.count).toBe(1);
	});

	it("no answer to a ping within 8 s: 3012; a second answer: 3501", async () => {
		const { rig, pass } = clocked();
		const [silent, eager] = [rig.connected(), rig.connected()];
		for (let second = 0; second < 27; second++) {
			pass(1);
			if (eager.replies().length > 0) eager.send({}, {});
		}
		expect((await eager.ended).code).toBe(3501);
		pass(10);
		expect(await silent.ended).toEqual({ code: 3012, reason: "no pong" });
		expect(rig.kept).toBe(0);
	});

	describe("a pong behind a command that waits", () => {
		/** A client with such a command, which is sent a ping. */
		function waiting() {
			const { pass, rig } = clocked();
			const client = rig.connected();
			client.session.backlog = { frames: [], bytes: 0 };
			for (let second = 0; second < 30 && client.session.pong === 0; second++) pass(1);
			return { pass, client };
		}

		it("counts: the client stays for as long as a backend takes for its commands", () => {
			const { pass, client } = waiting();
			client.send({ rpc: { method: "a" }, id: 7 }, {});
			pass(60);
			expect(client.session.leaving, "0 = it is served").toBe(0);
		});

		it.each([
			["none has come", () => {}],
			[
				"it waits behind replies that the client does not read",
				(client: CentrifugeClient) => {
					client.transport.peer.pause();
					client.session.reply(Buffer.alloc(1_000, "x"));
					client.send({});
				},
			],
		])("does not, if %s: 3012", (_why, act) => {
			const { pass, client } = waiting();
			act(client);
			pass(30);
			expect(client.session.leaving).toBe(3012);
		});
	});

	describe("a ping behind unread messages", () => {
		/** A client that gets a ping behind so many bytes. */
		function pinged(bytes: number) {
			const { rig, pass } = clocked();
			const client = rig.connected();
			client.transport.peer.pause();
			client.session.reply(Buffer.alloc(bytes, "x"));
			for (let second = 0; second < 30 && client.session.pong === 0; second++) pass(1);
			expect(client.session.pong, "a pong is awaited").toBe(1);
			return { pass, client };
		}

		it("may be answered late, as long as the client keeps reading", () => {
			const { pass, client } = pinged(1_000_000);
			for (let second = 0; second < 24; second++) {
				pass(1);
				if (second % 7 === 3) client.session.writable();
			}
			expect(client.session.leaving, "0 = it is served").toBe(0);
			client.transport.peer.resume();
			// The rest lies in the kernel.
			pass(4);
			expect(client.session.leaving).toBe(0);
			client.send({});
			pass(20);
			expect(client.session.leaving).toBe(0);
		});

		it("closes the client with 3012 when it reads nothing for 8 s", () => {
			const { pass, client } = pinged(1_000_000);
			client.session.writable();
			pass(10);
			expect(client.session.leaving, "it has read something").toBe(0);
			pass(8);
			expect(client.session.leaving).toBe(3012);
		});

		it("closes the client with 3012 when it reads less than 32 KiB per second", () => {
			const { pass, client } = pinged(20 * 32 * 1024);
			const passReading = (seconds: number) => {
				for (let second = 0; second < seconds; second++) {
					client.session.writable();
					pass(1);
				}
			};
			passReading(24);
			expect(client.session.leaving, "after 24 s of 28").toBe(0);
			passReading(12);
			expect(client.session.leaving).toBe(3012);
		});
	});

	it("a client that uses WebSocket pings gets none of the protocol", () => {
		const { rig, pass } = clocked();
		const client = rig.open("cf_ws_frame_ping_pong=true");
		client.send(connect);
		expect(client.replies()).toEqual([{ id: 1, connect: { client: expect.any(String), version: expect.any(String) } }]);
		pass(100);
		expect(client.replies()).toEqual([]);
		expect(rig.sessions.count).toBe(1);
	});

	it("3005: 25 s after a token has expired without a new one", async () => {
		const { rig, pass } = clocked({ clientInsecure: false, tokenHmacSecret: secret });
		const client = rig.open();
		client.send({ connect: { token: await token({ exp: Math.floor(Date.now() / 1000) + 60 }) }, id: 1 });
		await vi.waitFor(() => expect(client.session.state).toBe("connected"), { timeout: 8_000 });
		for (let second = 0; second < 80; second++) {
			pass(1);
			for (const message of client.replies()) if (Object.keys(message as object).length === 0) client.send({});
		}
		expect(rig.sessions.count).toBe(1);
		pass(10);
		expect(await client.ended).toEqual({ code: 3005, reason: "connection expired" });
	});
});

const secret = "a secret of enough bytes, surely 32";
const token = (claims: Readonly<Record<string, unknown>>, key = secret, alg = "HS256") =>
	new SignJWT(claims).setProtectedHeader({ alg }).sign(Buffer.from(key));

describe("tokens", () => {
	const options = { clientInsecure: false, tokenHmacSecret: secret };
	const now = () => Math.floor(Date.now() / 1000);

	async function connectWith(claims: object, key = secret): Promise<CentrifugeClient> {
		const client = new CentrifugeRig(options).open();
		client.send({ connect: { token: await token({ ...claims }, key) }, id: 1 });
		await vi.waitFor(() => expect(client.session.state === "new" && client.session.leaving === 0).toBe(false), { timeout: 8_000 });
		return client;
	}

	it("a valid one identifies the client, and says when it has to send another", async () => {
		const client = await connectWith({ sub: "ann", exp: now() + 60, info: { name: "Ann" } });
		expect(client.replies()).toMatchObject([{ id: 1, connect: { expires: true } }]);
		expect(client.session).toMatchObject({ user: "ann", state: "connected" });
		expect(Buffer.from(client.session.info!).toString()).toBe('{"name":"Ann"}');
	});

	it.each<[string, object, number]>([
		["expired", { sub: "ann", exp: now() - 60 }, 109],
		["not valid yet", { sub: "ann", nbf: now() + 60 }, 109],
	])("one that is %s is an error, after which no command is valid", async (_what, claims, code) => {
		const client = await connectWith(claims);
		expect(client.replies()).toEqual([{ id: 1, error: expect.objectContaining({ code }) }]);
		client.send(subscribe("a"));
		expect((await client.ended).code).toBe(3501);
	});

	it("3500 if signed with another key; 3501 without a token", async () => {
		const forged = await connectWith({ sub: "ann" }, "another secret, as long as that one");
		expect(await forged.ended).toEqual({ code: 3500, reason: "invalid token" });
		const without = new CentrifugeRig(options).open();
		without.send(connect);
		expect((await without.ended).code).toBe(3501);
	});

	it("is also verified in insecure mode; by default there is no key", async () => {
		const client = new CentrifugeRig({ clientInsecure: true, tokenHmacSecret: defaultConfig().tokenHmacSecret }).open();
		client.send({ connect: { token: await token({ sub: "ann" }) }, id: 1 });
		expect((await client.ended).code).toBe(3500);
	});

	it("refresh: a new one replaces it; 3005 for an expired one, 3500 for another user's", async () => {
		const refreshed = await connectWith({ sub: "ann", exp: now() + 60 });
		refreshed.replies();
		refreshed.send({ refresh: { token: await token({ sub: "ann", exp: now() + 600 }) }, id: 2 });
		await vi.waitFor(() => expect(refreshed.session.backlog).toBeNull(), { timeout: 8_000 });
		expect(refreshed.replies()).toMatchObject([{ id: 2, refresh: { expires: true, ttl: expect.any(Number) } }]);
		for (const [claims, code] of [
			[{ sub: "ann", exp: now() - 1 }, 3005],
			[{ sub: "bob", exp: now() + 600 }, 3500],
		] as const) {
			const client = await connectWith({ sub: "ann", exp: now() + 60 });
			client.send({ refresh: { token: await token(claims) }, id: 2 });
			expect((await client.ended).code).toBe(code);
		}
	});
});

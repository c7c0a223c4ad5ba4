import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { type Config, defaultConfig, type EnabledProxyOptions } from "@shardcast/config";
import type { ReadMetric } from "@shardcast/telemetry";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { noHeaders } from "../../src/hooks/forwarded-headers.ts";
import { Hooks } from "../../src/hooks/hooks.ts";
import { CentrifugeRig } from "../support/centrifuge-rig.ts";
import { channels, HookBackend } from "../support/hook-backend.ts";
import { connected, pass, soon, told } from "../support/hook-steps.ts";

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

const now = () => Date.now() / 1000;
const allow = (path: string, more: Partial<EnabledProxyOptions> = {}) => backend.at(path, { onFailure: "allow", ...more });

function rigWith(options: Partial<Config>): CentrifugeRig {
	const rig = new CentrifugeRig({ clientInsecure: false, allowAnonymousConnect: true, ...options });
	rigs.push(rig);
	return rig;
}

/** How many questions of each hook failed without harm to the client, as the metric tells. */
function passed(rig: CentrifugeRig): Record<string, number> {
	const found: Record<string, number> = {};
	const addReading = <R>(table: readonly ReadMetric<R>[], read: () => R): void => {
		const metric = table.find(({ name }) => name === "shardcast_hook_passes_total");
		for (const { labels, value } of metric?.sample(read()) ?? []) found[labels.hook!] = Number(value);
	};
	rig.endpoint.measures({ addReading });
	return found;
}

describe("on_failure: allow", () => {
	it("connect: a client is treated as if there were no hook", async () => {
		const anonymous = rigWith({ connectProxy: allow("/connect") });
		backend.replies.set("/connect", 500);
		const client = anonymous.open();
		expect(await told(client, { connect: {} })).toMatchObject([{ connect: { client: client.session.id } }]);
		expect([client.session.user, passed(anonymous).connect]).toEqual(["", 1]);
		const closed = rigWith({ connectProxy: allow("/connect"), allowAnonymousConnect: false }).open();
		closed.send({ id: 1, connect: {} });
		expect(await closed.ended, "where a client needs a token").toMatchObject({ code: 3501 });
	});

	it("subscribe and publish: the permissions of the namespace apply", async () => {
		const proxies = { subscribeProxy: allow("/subscribe"), publishProxy: allow("/publish") };
		const hooks = { subscribeProxyEnabled: true, publishProxyEnabled: true };
		const permitted = {
			...{ allowSubscribeForClient: true, allowSubscribeForAnonymous: true },
			...{ allowPublishForClient: true, allowPublishForAnonymous: true },
		};
		backend.replies.set("/subscribe", 503).set("/publish", 503);
		for (const [options, subscribe, publish, published] of [
			[hooks, { error: { code: 103 } }, { error: { code: 103 } }, 0],
			[{ ...hooks, ...permitted }, { subscribe: {} }, { publish: {} }, 1],
		] as const) {
			const rig = rigWith({ ...proxies, ...channels(options) });
			const client = connected(rig);
			expect(await told(client, { subscribe: { channel: "a" } }), "subscribe").toMatchObject([subscribe]);
			expect(await told(client, { publish: { channel: "a", data: 1 } }), "publish").toMatchObject([publish]);
			expect([rig.published.length, passed(rig)]).toEqual([published, { subscribe: 1, publish: 1 }]);
		}
		expect(backend.asked, "questions").toHaveLength(4);
	});

	it.each<[what: string, reply: unknown, options: Partial<EnabledProxyOptions>]>([
		["a status that says no", 403, {}],
		["a redirect, such as to a page for signing in", 302, {}],
		["a reply that cannot be read", '{"error": {"code": 99999}}', {}],
		["a reply that is too long", { result: { data: "x".repeat(100) } }, { replyBytesMax: 64 }],
		["an error", { error: { code: 100, message: "internal server error", temporary: true } }, {}],
	])("does not apply when the backend has answered: %s", async (_, reply, options) => {
		const rig = rigWith({ connectProxy: allow("/connect", options) });
		backend.replies.set("/connect", reply);
		expect(await told(rig.open(), { connect: {} })).toMatchObject([{ error: { code: 100 } }]);
		expect(passed(rig).connect).toBe(0);
	});

	it.each<[what: string, head: string]>([
		["a status that says no", "HTTP/1.1 403 Forbidden\r\ncontent-length: 10\r\n\r\nno"],
		["a redirect", "HTTP/1.1 302 Found\r\ncontent-length: 10\r\n\r\n"],
		["a reply, perhaps an error", 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"error":'],
		["a status that says no, and then no HTTP", "HTTP/1.1 403 Forbidden\r\ntransfer-encoding: chunked\r\n\r\nno chunk\r\n"],
		["a head that is too long", `HTTP/1.1 403 Forbidden\r\nset-cookie: ${"x".repeat(20_000)}\r\n\r\n`],
	])("does not apply when the answer has started, and does not end or is cut off: %s", async (_, head) => {
		// This time passes with each look for the client's answer: a machine that stands still is not too late to read the head.
		vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
		for (const ends of [true, false]) {
			const server = createServer((socket) => {
				socket.on("error", () => {});
				socket.once("data", () => (ends ? socket.end(head) : socket.write(head)));
			});
			await once(server.listen(0, "127.0.0.1"), "listening");
			const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
			const rig = rigWith({ connectProxy: allow("/connect", { endpoint, timeoutMs: ends ? 20_000 : 200 }) });
			expect(await told(rig.open(), { connect: {} }), ends ? "cut off" : "too late").toMatchObject([{ error: { code: 100 } }]);
			expect(passed(rig).connect).toBe(0);
			server.close();
		}
	});

	it.each<[what: string, options: () => Partial<EnabledProxyOptions>]>([
		["nobody listens", () => ({ endpoint: "http://127.0.0.1:1/" })],
		["no TLS", () => ({ endpoint: backend.at("/connect").endpoint.replace("http:", "https:") })],
		["too late", () => ({ timeoutMs: 50 })],
	])("applies when the backend does not answer: %s", async (_, options) => {
		const rig = rigWith({ connectProxy: allow("/connect", options()) });
		backend.replies.set("/connect", new Promise(() => {}));
		expect(await told(rig.open(), { connect: {} })).toMatchObject([{ connect: {} }]);
		expect(passed(rig).connect).toBe(1);
	});

	it("the log says that the client was allowed", async () => {
		const lines: unknown[][] = [];
		const log = { error: (...line: unknown[]) => void lines.push(line) };
		const hooks = new Hooks(defaultConfig({ connectProxy: allow("/connect") }), log as never);
		backend.replies.set("/connect", 500);
		const client = { client: "1", transport: "websocket", protocol: "json", user: "", meta: null } as const;
		expect([await hooks.connect!.ask(client, {}, noHeaders), await hooks.connect!.ask(client, {}, noHeaders)]).toEqual([
			"passed",
			"passed",
		]);
		hooks.stop();
		expect(lines, "one in ten seconds").toMatchObject([
			[
				{ hook: "connect", failure: "status", status: 500, passes: true },
				"the connect hook failed: status; the client continues, see on_failure",
			],
		]);
	});

	it("nobody is admitted because the shard stops", async () => {
		const rig = rigWith({ connectProxy: allow("/connect") });
		backend.replies.set("/connect", new Promise(() => {}));
		const client = rig.open();
		client.send({ id: 1, connect: {} });
		await soon(() => expect(backend.asked, "questions").toHaveLength(1));
		rig.endpoint.hooks.stop();
		await client.settled();
		expect(client.replies()).toMatchObject([{ error: { code: 100 } }]);
	});

	it("an RPC call still gets error 100, since there is no answer", async () => {
		const { enabled: _, ...named } = allow("/rpc", { onFailure: "allow" });
		const rpcWithoutNamespace = { proxyEnabled: true, proxyName: "named" };
		const rig = rigWith({ proxies: [{ name: "named", ...named }], rpcWithoutNamespace });
		backend.replies.set("/rpc", 500);
		expect(await told(connected(rig), { rpc: { method: "m", data: 1 } })).toMatchObject([{ error: { code: 100 } }]);
		expect(passed(rig).rpc).toBe(0);
	});
});

describe("on_failure: deny", () => {
	it("refresh: the connection ends", async () => {
		const refreshProxy = backend.at("/refresh", { onFailure: "deny" });
		const rig = rigWith({ connectProxy: backend.at("/connect"), refreshProxy });
		backend.replies.set("/connect", { result: { user: "42", expire_at: Math.floor(now()) + 10 } }).set("/refresh", 500);
		const client = rig.open("cf_ws_frame_ping_pong=true");
		await told(client, { connect: {} });
		pass(rig, 12);
		await soon(() => expect(client.session.isGone, "closed").toBe(true));
		expect(await client.ended).toMatchObject({ code: 3005 });
		expect([rig.kept, passed(rig).refresh]).toEqual([0, 0]);
	});

	it("sub_refresh: the subscription ends", async () => {
		const proxies = { subscribeProxy: backend.at("/subscribe"), subRefreshProxy: backend.at("/sub_refresh", { onFailure: "deny" }) };
		const rig = rigWith({ ...proxies, ...channels({ subscribeProxyEnabled: true, subRefreshProxyEnabled: true }) });
		backend.replies.set("/subscribe", { result: { expire_at: Math.floor(now()) + 10 } }).set("/sub_refresh", 500);
		const client = connected(rig);
		await told(client, { subscribe: { channel: "a" } });
		pass(rig, 12);
		await soon(() => expect(client.session.channels).toEqual([]));
		expect(client.replies()).toMatchObject([{ push: { channel: "a", unsubscribe: { code: 2501 } } }]);
	});
});

it.each(["auto", "allow"] as const)("on_failure: '%s': what expires is prolonged by a minute, and counted", async (onFailure) => {
	const rig = rigWith({ connectProxy: backend.at("/connect"), refreshProxy: backend.at("/refresh", { onFailure }) });
	backend.replies.set("/connect", { result: { user: "42", expire_at: Math.floor(now()) + 10 } }).set("/refresh", 403);
	const client = rig.open("cf_ws_frame_ping_pong=true");
	await told(client, { connect: {} });
	pass(rig, 12);
	await soon(() => expect(client.session.expiresAt).toBeCloseTo(now() + 60, 0));
	expect(passed(rig)).toEqual({ connect: 0, refresh: 1 });
});

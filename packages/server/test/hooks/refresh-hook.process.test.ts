import type { Config } from "@shardcast/config";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type CentrifugeClient, CentrifugeRig } from "../support/centrifuge-rig.ts";
import { HookBackend } from "../support/hook-backend.ts";
import { pass, soon } from "../support/hook-steps.ts";

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

function rigWith(options: Partial<Config> = {}): CentrifugeRig {
	const proxies = { connectProxy: backend.at("/connect"), refreshProxy: backend.at("/refresh", { includeConnectionMeta: true }) };
	const rig = new CentrifugeRig({ clientInsecure: false, ...proxies, ...options });
	rigs.push(rig);
	return rig;
}

/** A client of user 42 whose connection expires in 10 s. */
async function connected(rig: CentrifugeRig): Promise<{ client: CentrifugeClient; reply: { connect: object } }> {
	backend.replies.set("/connect", { result: { user: "42", expire_at: Math.floor(now()) + 10, info: { a: 1 }, meta: { plan: "pro" } } });
	// Without pings, which it would have to answer.
	const client = rig.open("cf_ws_frame_ping_pong=true");
	client.send({ id: 1, connect: {} });
	await client.settled();
	return { client, reply: client.replies()[0] as { connect: object } };
}

describe("with a refresh hook", () => {
	it("the backend is asked when a connection expires, and the client is not", async () => {
		const rig = rigWith();
		const { client, reply } = await connected(rig);
		expect(reply.connect, "nothing that has the client send a token").not.toHaveProperty("ttl");
		const until = Math.floor(now()) + 1000;
		backend.replies.set("/refresh", { result: { expire_at: until, info: { a: 2 } } });
		pass(rig, 9);
		expect(backend.bodies("/refresh"), "questions before the time").toEqual([]);
		pass(rig, 3);
		await soon(() => expect(client.session.expiresAt).toBe(until));
		expect(backend.bodies("/refresh")).toEqual([
			{ client: client.session.id, transport: "websocket", protocol: "json", encoding: "json", user: "42", meta: { plan: "pro" } },
		]);
		expect([client.session.user, String(client.session.info), client.session.isGone]).toEqual(["42", '{"a":2}', false]);
	});

	it.each<[reply: string, value: unknown, code: number]>([
		["expired", { result: { expired: true } }, 3005],
		["no result", {}, 3005],
		["a time that has passed", { result: { expire_at: 1 } }, 3005],
		["a disconnect", { disconnect: { code: 4500, reason: "over" } }, 4500],
	])("a reply ends the connection: %s", async (_, reply, code) => {
		const rig = rigWith();
		const { client } = await connected(rig);
		backend.replies.set("/refresh", reply);
		pass(rig, 12);
		expect(await client.ended).toMatchObject({ code });
		expect(rig.kept).toBe(0);
	});

	it("a backend that fails does not end connections: it is asked again after a minute", async () => {
		const rig = rigWith();
		const { client } = await connected(rig);
		backend.replies.set("/refresh", 500);
		pass(rig, 12);
		await soon(() => expect(client.session.expiresAt).toBeCloseTo(now() + 60, 0));
		pass(rig, 58);
		expect(backend.bodies("/refresh"), "questions within the minute").toHaveLength(1);
		pass(rig, 4);
		await soon(() => expect(backend.bodies("/refresh"), "questions after it").toHaveLength(2));
		expect(client.session.isGone).toBe(false);
	});

	it("the connection stays open while the backend is asked", async () => {
		const rig = rigWith();
		const { client } = await connected(rig);
		backend.replies.set("/refresh", new Promise(() => {}));
		pass(rig, 12);
		await soon(() => expect(backend.bodies("/refresh")).toHaveLength(1));
		pass(rig, 50);
		expect([client.session.isGone, backend.bodies("/refresh").length]).toEqual([false, 1]);
		client.transport.close();
		await soon(() => expect(backend.gone).toBe(1));
		expect(rig.kept).toBe(0);
	});

	it("a client that sends a token anyway gets the backend's answer", async () => {
		const rig = rigWith();
		const { client } = await connected(rig);
		backend.replies.set("/refresh", { result: { expire_at: Math.floor(now()) + 1000 } });
		client.send({ id: 2, refresh: { token: "old.old.old" } });
		await client.settled();
		expect(client.replies()).toMatchObject([{ id: 2, refresh: { client: client.session.id, expires: true } }]);
	});
});

it("without the hook, connections end after the grace time as before", async () => {
	const rig = rigWith({ refreshProxy: { ...backend.at("/refresh"), enabled: false } });
	const { client, reply } = await connected(rig);
	expect(reply.connect).toMatchObject({ expires: true });
	pass(rig, 30);
	expect(client.session.isGone).toBe(false);
	pass(rig, 7);
	expect(await client.ended).toMatchObject({ code: 3005 });
});

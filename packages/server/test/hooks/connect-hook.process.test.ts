import type { Config } from "@shardcast/config";
import { type ClientRecord, EventReader } from "@shardcast/webhooks";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type CentrifugeClient, CentrifugeRig } from "../support/centrifuge-rig.ts";
import { channels, HookBackend } from "../support/hook-backend.ts";
import { soon } from "../support/hook-steps.ts";

let backend: HookBackend;
const rigs: CentrifugeRig[] = [];
beforeEach(async () => {
	backend = await HookBackend.start();
});
afterEach(() => {
	for (const rig of rigs.splice(0)) rig.endpoint.stop();
	backend.stop();
});

function rigWith(options: Partial<Config> = {}): CentrifugeRig {
	const rig = new CentrifugeRig({ clientInsecure: false, connectProxy: backend.at("/connect"), ...options });
	rigs.push(rig);
	return rig;
}

/** What the client is told. */
async function connecting(client: CentrifugeClient, connect: object = {}): Promise<unknown[]> {
	client.send({ id: 1, connect });
	await client.settled();
	return client.replies();
}

it("the backend identifies a client, sends it data and subscribes it to channels", async () => {
	const rig = rigWith(channels({ allowSubscribeForClient: true }));
	const written = '{ "n": 12345678901234567890 }';
	backend.replies.set(
		"/connect",
		`{"result": {"user": "42", "info": {"name": "Ann"}, "data": ${written}, "channels": ["a"], "subs": {"b": {"data": [1]}}}}`,
	);
	const client = rig.open();
	client.send({ id: 1, connect: { name: "js", version: "1", data: { x: 1 }, subs: { wanted: {} } } });
	await client.settled();
	const { id } = client.session;
	expect(backend.asked[0]?.body, "what the backend was asked").toEqual({
		...{ client: id, transport: "websocket", protocol: "json", encoding: "json", name: "js", version: "1" },
		channels: ["wanted"],
		data: { x: 1 },
	});
	const [frame] = client.transport.peer.received();
	expect(frame, "data stays as it is written").toContain(`"data":${written}`);
	const reply = JSON.parse(frame!);
	expect(reply.connect).toMatchObject({ client: id, subs: { a: {}, b: { data: [1] } } });
	expect(Object.keys(reply.connect.subs), "not the channel that only the client wants").toEqual(["a", "b"]);
	expect([client.session.user, String(client.session.info)]).toEqual(["42", '{"name":"Ann"}']);
});

it("the backend gets the listed headers of the request and of the connect command", async () => {
	const connectProxy = backend.at("/connect", { httpHeaders: ["Cookie"], emulatedHeaders: ["Authorization"] });
	const rig = rigWith({ connectProxy });
	backend.replies.set("/connect", { result: { user: "42" } });
	const client = rig.open("", { cookie: "a=1", "x-secret": "s" });
	await connecting(client, { headers: { Authorization: "Bearer t", Cookie: "forged" } });
	const { headers } = backend.asked[0]!;
	expect([headers.cookie, headers.authorization, headers["x-secret"]]).toEqual(["a=1", "Bearer t", undefined]);
	expect(client.session.headers.ofRequest, "what is kept of the request").toEqual(new Map([["cookie", "a=1"]]));
});

it("the backend is not asked about a client with a token", async () => {
	const rig = rigWith({ tokenHmacSecret: "a-long-secret" });
	await connecting(rig.open(), { token: "not.a.token" });
	expect(backend.asked).toEqual([]);
});

it("a client that the backend does not identify is treated like one without a token", async () => {
	const closed = rigWith().open();
	closed.send({ id: 1, connect: {} });
	expect(await closed.ended).toMatchObject({ code: 3501 });
	const anonymous = rigWith({ allowAnonymousConnect: true }).open();
	expect(await connecting(anonymous)).toMatchObject([{ connect: {} }]);
	expect(anonymous.session.user).toBe("");
});

it("an empty user from the backend is admitted, whatever the options for anonymous tokens", async () => {
	backend.replies.set("/connect", { result: {} });
	expect(await connecting(rigWith({ disallowAnonymousTokens: true }).open())).toMatchObject([{ connect: {} }]);
});

it("the backend closes a client with its code and reason, or refuses it with an error", async () => {
	const rig = rigWith();
	backend.replies.set("/connect", { disconnect: { code: 4501, reason: "unauthorized" } });
	const closed = rig.open();
	closed.send({ id: 1, connect: {} });
	expect(await closed.ended).toEqual({ code: 4501, reason: "unauthorized" });
	backend.replies.set("/connect", { error: { code: 1000, message: "no", temporary: true } });
	const refused = rig.open();
	refused.send({ id: 1, connect: {} }, { id: 2, connect: {} });
	expect(await refused.ended, "not even another connect is valid after one that failed").toMatchObject({ code: 3501 });
	expect(refused.replies()).toEqual([{ id: 1, error: { code: 1000, message: "no", temporary: true } }]);
	expect(rig.kept).toBe(0);
});

it("a unidirectional client is closed instead of getting an error", async () => {
	const rig = rigWith();
	for (const [error, code] of [
		[111, 3013],
		[1000, 3004],
	] as const) {
		backend.replies.set("/connect", { error: { code: error } });
		const client = rig.listening();
		client.send({});
		expect(await client.ended).toMatchObject({ code });
	}
	backend.replies.set("/connect", { disconnect: { code: 4501, reason: "no" } });
	const client = rig.listening();
	client.send({});
	expect(await client.ended).toEqual({ code: 4501, reason: "no" });
	expect(backend.asked[0]!.body).toMatchObject({ transport: "uni_websocket" });
});

it("a backend that fails causes error 100, and the counter says why", async () => {
	const rig = rigWith();
	backend.replies.set("/connect", 500);
	expect(await connecting(rig.open())).toMatchObject([{ error: { code: 100, temporary: true } }]);
	expect(rig.endpoint.hooks.connect!.backend.counts.failures.status).toBe(1);
});

it("later commands wait for the answer, and run in order", async () => {
	const rig = rigWith(channels({ allowSubscribeForClient: true }));
	let answer!: (reply: unknown) => void;
	backend.replies.set("/connect", new Promise((resolve) => (answer = resolve)));
	const client = rig.open();
	client.send({ id: 1, connect: {} }, { id: 2, subscribe: { channel: "a" } });
	client.send({ id: 3, subscribe: { channel: "b" } });
	await soon(() => expect(backend.asked, "questions").toHaveLength(1));
	expect(client.replies()).toEqual([]);
	answer({ result: { user: "42" } });
	await client.settled();
	expect(client.replies()).toMatchObject([{ id: 1 }, { id: 2, subscribe: {} }, { id: 3, subscribe: {} }]);
});

it("a backend may take longer than a client has for its connect", async () => {
	const rig = rigWith();
	let answer!: (reply: unknown) => void;
	backend.replies.set("/connect", new Promise((resolve) => (answer = resolve)));
	const client = rig.open();
	client.send({ id: 1, connect: {} });
	await soon(() => expect(backend.asked, "questions").toHaveLength(1));
	for (let second = 0; second < 25; second++) {
		rig.seconds++;
		rig.endpoint.heartbeats.tick();
	}
	answer({ result: { user: "42" } });
	await client.settled();
	expect(client.replies()).toMatchObject([{ id: 1, connect: {} }]);
});

it("a client that disconnects while the backend is asked leaves nothing behind, and the request is cancelled", async () => {
	const rig = rigWith();
	backend.replies.set("/connect", new Promise(() => {}));
	const client = rig.open();
	client.send({ id: 1, connect: {} });
	await soon(() => expect(backend.asked, "questions").toHaveLength(1));
	client.transport.close();
	await soon(() => expect(backend.gone, "requests that were given up").toBe(1));
	expect(rig.kept).toBe(0);
	const { counts, running } = rig.endpoint.hooks.connect!.backend;
	expect([counts.abandoned, running]).toEqual([1, 0]);
});

it("a reload changes which backend is asked", async () => {
	const rig = rigWith();
	backend.replies.set("/connect", { result: { user: "old" } });
	backend.replies.set("/other", { result: { user: "new" } });
	await connecting(rig.open());
	const before = rig.endpoint.hooks.connect;
	rig.reload({ pingIntervalMs: 20_000 });
	expect(rig.endpoint.hooks.connect, "nothing has changed for it").toBe(before);
	rig.reload({ connectProxy: backend.at("/other") });
	const client = rig.open();
	await connecting(client);
	expect([client.session.user, rig.endpoint.hooks.connect!.backend.counts.replies]).toEqual(["new", 2]);
	rig.reload({ connectProxy: { ...backend.at("/other"), enabled: false } });
	const refused = rig.open();
	refused.send({ id: 1, connect: {} });
	expect(await refused.ended).toMatchObject({ code: 3501 });
});

it("webhooks that are enabled while the backend is asked report the client when it connects, with its user", async () => {
	const rig = rigWith();
	let answer!: () => void;
	backend.replies.set("/connect", new Promise((resolve) => (answer = () => resolve({ result: { user: "42" } }))));
	const client = rig.open();
	client.send({ id: 1, connect: {} });
	await soon(() => expect(backend.asked, "questions").toHaveLength(1));
	rig.reload({ webhooks: [{ name: "all", events: [], namespaces: [] }] as never as Config["webhooks"] });
	const reader = new EventReader(rig.eventRing);
	const told: ClientRecord[] = [];
	await soon(() => {
		reader.read(100, (record) => told.push(record));
		expect(told.at(-1)?.[0], "the last record of the snapshot").toBe("snapshotEnd");
	});
	expect(
		told.map(([kind]) => kind),
		"one that has not connected is nobody",
	).toEqual(["snapshot", "snapshotEnd"]);
	answer();
	await client.settled();
	told.length = 0;
	reader.read(100, (record) => told.push(record));
	expect(told).toMatchObject([["connect", expect.anything(), 1, client.session.id, "42", "websocket", "json"]]);
});

import { type Config, defaultConfig } from "@shardcast/config";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { CentrifugeRig } from "../support/centrifuge-rig.ts";
import { HookBackend } from "../support/hook-backend.ts";

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

const without = { proxyEnabled: true, proxyName: "default" };

function rigWith(options: Partial<Config> = {}): CentrifugeRig {
	const rig = new CentrifugeRig({ rpcProxy: backend.at("/rpc"), rpcWithoutNamespace: without, ...options });
	rigs.push(rig);
	return rig;
}

async function call(rig: CentrifugeRig, method: string, data: unknown = 1, query = ""): Promise<unknown> {
	const client = rig.connected(query);
	client.send({ id: 2, rpc: { method, data } });
	await client.settled();
	return client.replies()[0];
}

it("a call is sent to the backend, and its data is returned", async () => {
	backend.replies.set("/rpc", { result: { data: { sum: 3 } } });
	expect(await call(rigWith(), "add", [1, 2])).toEqual({ id: 2, rpc: { data: { sum: 3 } } });
	expect(backend.asked[0]!.body).toMatchObject({ method: "add", data: [1, 2], user: "" });
});

it("a reply may contain no data, any bytes, an error or a disconnect", async () => {
	const rig = rigWith();
	expect(await call(rig, "m")).toEqual({ id: 2, rpc: {} });
	backend.replies.set("/rpc", { result: { b64data: Buffer.from("text").toString("base64") } });
	expect(await call(rig, "m"), "JSON for a client of the JSON protocol").toEqual({ id: 2, rpc: { data: "text" } });
	backend.replies.set("/rpc", { error: { code: 1234, message: "no" } });
	expect(await call(rig, "m")).toEqual({ id: 2, error: { code: 1234, message: "no" } });
	backend.replies.set("/rpc", { disconnect: { code: 4000, reason: "out" } });
	const client = rig.connected();
	client.send({ id: 2, rpc: { method: "m" } });
	expect(await client.ended).toEqual({ code: 4000, reason: "out" });
});

it("data with line breaks arrives as one message", async () => {
	backend.replies.set("/rpc", '{"result": {"data": {\n  "a": 1\n}}}');
	expect(await call(rigWith(), "m")).toEqual({ id: 2, rpc: { data: { a: 1 } } });
});

it("namespaces of methods choose the backend", async () => {
	const { enabled: _, ...named } = backend.at("/math");
	const rig = rigWith({
		rpcWithoutNamespace: defaultConfig().rpcWithoutNamespace,
		proxies: [{ name: "calculator", ...named }],
		rpcNamespaces: [
			{ name: "math", proxyEnabled: true, proxyName: "calculator" },
			{ name: "off", proxyEnabled: false, proxyName: "default" },
		],
	});
	await call(rig, "math:add");
	expect(backend.asked.map(({ path, body }) => [path, body.method])).toEqual([["/math", "math:add"]]);
	expect(await call(rig, "add")).toMatchObject({ error: { code: 108 } });
	expect(await call(rig, "off:x")).toMatchObject({ error: { code: 108 } });
	expect(await call(rig, "unknown:x")).toMatchObject({ error: { code: 104 } });
});

it("a method that the application handles does not reach the backend", async () => {
	const rig = rigWith();
	rig.endpoint.set.handlers.onRpc("own", () => "here");
	expect(await call(rig, "own")).toEqual({ id: 2, rpc: { data: "here" } });
	expect(backend.asked).toEqual([]);
	await call(rig, "other");
	expect(backend.asked).toHaveLength(1);
});

it("the message rate applies to calls", async () => {
	// The second call runs when the backend has answered the first, which may be a second later on a busy machine.
	vi.useFakeTimers({ toFake: ["performance"] });
	const rig = rigWith({ messageRate: 1 });
	const client = rig.connected();
	client.send({ id: 2, rpc: { method: "m" } }, { id: 3, rpc: { method: "m" } });
	await client.settled();
	expect(client.replies()).toMatchObject([
		{ id: 2, rpc: {} },
		{ id: 3, error: { code: 111 } },
	]);
});

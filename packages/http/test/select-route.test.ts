import { readFileSync } from "node:fs";
import { optionOf } from "@shardcast/config";
import { type Affinity, type SessionRequest, strategyNames } from "@shardcast/selection";
import { describe, expect, it } from "vitest";
import { allowedOrigins, type FindSessions, type HttpRequest, NodeSelection, type Reply, Router, UnknownNode } from "../src/index.ts";

const node = (id: string, changes = {}) => ({
	...{ id, weight: 1, connections: 0, maxConnections: 1000, cpu: 0, memory: 0, loopLagMs: 0, heartbeatAt: 1 },
	...{ url: `ws://${id}.example:3005`, region: "", status: "serving" as const, health: "healthy" as const },
	...changes,
});
type Known = { id: string; state: string; nodes: ReturnType<typeof node>[] } | null;
const three: Known = { id: "n0", state: "member", nodes: [node("n0"), node("n1", { region: "us" }), node("n2", { region: "eu" })] };

function rig(
	known: () => Known | Promise<Known> = () => three,
	strategy: "least_connections" | "ip_hash" | "user_hash" = "least_connections",
	affinity: Affinity = "none",
) {
	const state = { nowMs: 1000, lookUps: 0, redisIsAway: false };
	/** As in Redis, by kind and id. */
	const sessions = new Map<string, string>();
	const requests: SessionRequest[] = [];
	const find: FindSessions = async (asked) => {
		requests.push(...asked);
		if (state.redisIsAway) throw new Error("Redis is away");
		return asked.map(({ of, id, node, follow }) => {
			const before = sessions.get(`${of} ${id}`);
			if (before !== undefined && follow.includes(before)) return { node: before, outcome: "kept" };
			sessions.set(`${of} ${id}`, node);
			return { node, outcome: before === undefined ? "new" : "moved" };
		});
	};
	const selection = new NodeSelection({
		nodes: async () => {
			state.lookUps++;
			return known();
		},
		sessions: find,
		rules: () => ({ selectStrategy: strategy, selectRegion: "own" as const, affinity }),
		nowMs: () => state.nowMs,
	});
	const router = new Router([selection.route], { allowedOrigins: allowedOrigins(["https://page.example"]) });
	const ask = async (query = "", request: Partial<HttpRequest> = {}, headers: Readonly<Record<string, string>> = {}) => {
		const whole = { method: "GET", path: "/cluster/select", query, address: "10.0.0.1", header: (name: string) => headers[name] ?? "" };
		const reply = (await router.route({ ...whole, ...request })) as Reply;
		return { ...reply, body: reply.body === "" ? null : JSON.parse(String(reply.body)) };
	};
	return { ...{ selection, ask }, state, sessions, requests };
}

describe("GET /cluster/select", () => {
	it("names a node by id, address and URL, and nobody may keep the answer", async () => {
		const { ask, selection } = rig();
		const reply = await ask("region=eu");
		expect(reply).toMatchObject({ status: 200, headers: { "Cache-Control": "no-store" }, close: true });
		expect(reply.body).toEqual({ id: "n2", address: "n2.example:3005", url: "ws://n2.example:3005", region: "eu" });
		expect(selection.counts).toEqual({ selected: 1, none: 0, failed: 0 });
	});

	it.each([
		["wss://n1.example.com", "n1.example.com:443"],
		["ws://n1.example.com", "n1.example.com:80"],
		["ws://[fd00::7]:3005", "[fd00::7]:3005"],
	])("the address of %s is %s", async (url, address) => {
		const { ask } = rig(() => ({ ...three!, nodes: [node("n0", { url })] }));
		expect((await ask()).body).toMatchObject({ url, address });
	});

	it("counts each client: equal requests at once get different nodes", async () => {
		const { ask, state } = rig(() => ({ ...three!, nodes: [node("n0"), node("n1"), node("n2")] }));
		const ids = await Promise.all(Array.from({ length: 9 }, async () => (await ask()).body.id));
		for (const id of ["n0", "n1", "n2"])
			expect(
				ids.filter((each) => each === id),
				`${id} among ${ids}`,
			).toHaveLength(3);
		expect(state.lookUps, "look-ups for nine requests").toBe(1);
	});

	it("looks the nodes up again after 200 ms, also when that has failed", async () => {
		let known: () => Known = () => {
			throw new Error("the supervisor is gone");
		};
		const { ask, state, selection } = rig(() => known());
		expect(await ask()).toMatchObject({ status: 503, body: { error: { code: "unavailable", message: "the supervisor is gone" } } });
		known = () => ({ ...three!, nodes: [node("n7")] });
		state.nowMs += 199;
		expect((await ask()).status).toBe(503);
		state.nowMs += 1;
		expect((await ask()).body.id).toBe("n7");
		expect(state.lookUps).toBe(2);
		expect(selection.counts).toEqual({ selected: 1, none: 0, failed: 2 });
	});

	it("503 with the reason and Retry-After when no node can take a client, or none has a URL for clients", async () => {
		const { ask, selection } = rig(() => ({ ...three!, nodes: [node("n0", { status: "draining" }), node("n1", { url: "" })] }));
		const reply = await ask();
		expect(reply).toMatchObject({ status: 503, headers: { "Retry-After": "1", "Cache-Control": "no-store" } });
		expect(reply.body.error).toEqual({
			code: "no_node",
			message: "no node can take a client now: 1 draining, 1 without a URL for clients (--node-url)",
		});
		expect(selection.counts).toEqual({ selected: 0, none: 1, failed: 0 });
	});

	it("404 on a machine that works alone", async () => {
		expect(await rig(() => null).ask()).toMatchObject({ status: 404, body: { error: { code: "not_found" } } });
	});

	it("says when the node is cut off from the others: then it names only itself", async () => {
		const { ask } = rig(() => ({ ...three!, state: "cutOff" }));
		expect((await ask("avoid=n0")).body).toEqual({
			id: "n0",
			address: "n0.example:3005",
			url: "ws://n0.example:3005",
			region: "",
			alone: true,
		});
	});

	it("takes nodes to avoid, as a list or several times", async () => {
		const { ask } = rig(() => ({ ...three!, nodes: [node("n0"), node("n1"), node("n2"), node("n3", { connections: 500 })] }));
		for (const query of ["avoid=n0,n1,n2", "avoid=n0&avoid=n1,,n2"]) expect((await ask(query)).body.id, query).toBe("n3");
	});

	it.each([
		[`user=${"u".repeat(257)}`, "user has more than 256 characters"],
		[`region=${"r".repeat(257)}`, "region has more than 256 characters"],
		[`connection=${"c".repeat(257)}`, "connection has more than 256 characters"],
		[`avoid=${"n,".repeat(17)}`, "avoid has more than 16 nodes"],
		["usr=ann", 'unknown query parameter "usr"; did you mean "user"?'],
	])("400 for %s", async (query, message) => {
		const { ask, state } = rig();
		expect(await ask(query)).toMatchObject({ status: 400, body: { error: { code: "bad_request", message } } });
		expect(state.lookUps).toBe(0);
	});

	it.each([`user=${"u".repeat(256)}`, `connection=${"c".repeat(256)}`, `region=${"r".repeat(256)}`, `avoid=${"n,".repeat(16)}`])(
		"200 at the limit: %s",
		async (query) => {
			expect((await rig().ask(query)).status).toBe(200);
		},
	);

	it("pages of allowed origins may read the answer and send OPTIONS, others may not", async () => {
		const { ask } = rig();
		const page = { origin: "https://page.example" };
		expect((await ask("", {}, page)).headers).toMatchObject({ "Access-Control-Allow-Origin": "https://page.example" });
		expect(await ask("", { method: "OPTIONS" }, page)).toMatchObject({ status: 204 });
		expect(await ask("", {}, { origin: "https://other.example", host: "here.example" })).toMatchObject({ status: 403 });
		expect(await ask("", { method: "POST" }, page)).toMatchObject({ status: 405 });
	});

	it("one way to write an address finds the same node as another", async () => {
		const many = { ...three!, nodes: Array.from({ length: 50 }, (_, at) => node(`n${at}`)) };
		const { ask } = rig(() => many, "ip_hash");
		const idFor = async (address: string) => (await ask("", { address })).body.id;
		expect(await idFor("2001:db8:0:0:0:0:0:1")).toBe(await idFor("2001:db8::1"));
		expect(await idFor("2001:0db8:0000:0000:0000:0000:0000:0001")).toBe(await idFor("2001:db8::1"));
		expect(await idFor("::ffff:10.0.0.7")).toBe(await idFor("10.0.0.7"));
		expect(await idFor("fe80::1%eth0"), "with a zone").toMatch(/^n\d+$/);
	});
});

describe("affinity", () => {
	const nodes = (changes: Readonly<Record<string, object>> = {}): Known => ({
		...{ id: "n0", state: "member" },
		nodes: ["n0", "n1", "n2", "n3"].map((id) => node(id, changes[id])),
	});

	it.each<[Affinity, string]>([
		["user", "user=ann"],
		["connection", "connection=tab-1"],
	])("by %s: the same node, whatever the strategy would choose, until that node cannot take the client", async (affinity, query) => {
		const state: { known: Known } = { known: nodes() };
		const { ask, sessions } = rig(() => state.known, "least_connections", affinity);
		const { id } = (await ask(query)).body;
		for (let round = 0; round < 10; round++) expect((await ask(query)).body.id).toBe(id);
		for (const change of [{ status: "draining" }, { connections: 1000 }, { health: "unhealthy" }, { url: "" }]) {
			const before = (await ask(query)).body.id as string;
			state.known = nodes({ [before]: change });
			const rest = rig(() => state.known, "least_connections", affinity);
			rest.sessions.set([...sessions.keys()][0]!, before);
			const after = (await rest.ask(query)).body.id as string;
			expect(after, JSON.stringify(change)).not.toBe(before);
			state.known = nodes();
			expect((await rest.ask(query)).body.id, "it stays where it is now").toBe(after);
			state.known = nodes();
		}
	});

	it("a node that is gone, or that the client could not reach, is not followed", async () => {
		const { ask, sessions, requests } = rig(() => nodes(), "least_connections", "user");
		sessions.set("user ann", "n9");
		const { id } = (await ask("user=ann")).body;
		expect(id).toMatch(/^n[0-3]$/);
		expect(requests[0]).toEqual({ of: "user", id: "ann", node: id, follow: ["n0", "n1", "n2", "n3"], address: "10.0.0.1", metadata: "" });
		const next = (await ask(`user=ann&avoid=${id}`)).body.id;
		expect(next).not.toBe(id);
		expect((await ask("user=ann")).body.id).toBe(next);
	});

	it("clients that follow a session count for its node, not for the one that the strategy had chosen", async () => {
		const { ask, sessions } = rig(() => nodes(), "least_connections", "user");
		for (let index = 0; index < 8; index++) sessions.set(`user u${index}`, "n0");
		await Promise.all(Array.from({ length: 8 }, (_, index) => ask(`user=u${index}`)));
		const others = await Promise.all(Array.from({ length: 12 }, async () => (await ask("")).body.id as string));
		expect(
			others.filter((id) => id === "n0"),
			"it has 8 clients already",
		).toHaveLength(0);
	});

	it("without an id, or while Redis is away, the strategy chooses", async () => {
		const { ask, state, requests } = rig(() => nodes(), "least_connections", "user");
		expect((await ask("connection=c")).status).toBe(200);
		expect(requests).toEqual([]);
		state.redisIsAway = true;
		expect((await ask("user=ann")).status).toBe(200);
		expect(requests).toHaveLength(1);
		const alone = rig(() => ({ ...nodes()!, state: "cutOff" }), "least_connections", "user");
		expect((await alone.ask("user=ann")).body).toMatchObject({ id: "n0", alone: true });
		expect(alone.requests).toEqual([]);
	});

	it("by hash: of the user, else of the connection, else of the address; without a session", async () => {
		const many: Known = { ...nodes()!, nodes: Array.from({ length: 30 }, (_, at) => node(`n${at}`)) };
		const { ask, requests } = rig(() => many, "least_connections", "hash");
		const idFor = async (query: string, address = "10.0.0.1") => (await ask(query, { address })).body.id as string;
		expect(await idFor("user=ann&connection=a")).toBe(await idFor("user=ann&connection=b", "10.0.0.2"));
		expect(await idFor("connection=a")).toBe(await idFor("connection=a", "10.0.0.2"));
		expect(await idFor("")).toBe(await idFor(""));
		const users = await Promise.all(Array.from({ length: 40 }, (_, at) => idFor(`user=u${at}`)));
		expect(new Set(users).size).toBeGreaterThan(10);
		expect(requests).toEqual([]);
	});

	it("by region: nodes of the client's region, else of the node that is asked, else any", async () => {
		const known = nodes({ n0: { region: "eu" }, n1: { region: "us" } });
		const { ask } = rig(() => known, "least_connections", "region");
		const ids = async (query: string) =>
			new Set(await Promise.all(Array.from({ length: 6 }, async () => (await ask(query)).body.id as string)));
		expect(await ids("region=us")).toEqual(new Set(["n1"]));
		expect(await ids("")).toEqual(new Set(["n0"]));
		expect((await ids("region=asia")).size, "no node there").toBeGreaterThan(1);
		expect(await ids("region=us&avoid=n1")).not.toContain("n1");
	});
});

it("every strategy can be chosen by the option, and the guide has a row for it", () => {
	expect(optionOf("selectStrategy").argument).toBe(`<${strategyNames.join("|")}>`);
	const guide = readFileSync(new URL("../../../docs/how-to/nodes/choose-a-node.md", import.meta.url), "utf8");
	const rows = [...guide.matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name);
	expect(strategyNames.filter((name) => !rows.includes(name))).toEqual([]);
});

describe("assigning a session", () => {
	const request = { user: "", connection: "", node: "", address: "10.0.0.1", region: "", avoid: [], metadata: "" };

	it("to a named node, or to the one that has it; the connection follows the user", async () => {
		const { selection, sessions, requests } = rig();
		expect(await selection.assign(three!, { ...request, user: "ann", node: "n2", metadata: "{}" }, false)).toMatchObject({
			node: { id: "n2" },
			outcome: "new",
		});
		expect(await selection.assign(three!, { ...request, user: "ann", connection: "c" }, false)).toMatchObject({
			node: { id: "n2" },
			outcome: "kept",
		});
		expect(sessions.get("connection c")).toBe("n2");
		expect(await selection.assign(three!, { ...request, connection: "c", node: "n1" }, false)).toMatchObject({
			node: { id: "n1" },
			outcome: "moved",
		});
		expect(requests[0]).toEqual({ of: "user", id: "ann", node: "n2", follow: [], address: "10.0.0.1", metadata: "{}" });
	});

	it("not to a node that is not there", async () => {
		const { selection, requests } = rig();
		const refused = selection.assign(three!, { ...request, user: "ann", node: "n9" }, false);
		await expect(refused).rejects.toThrow(UnknownNode);
		await expect(refused).rejects.toThrow(/^there is no node "n9"; there are n0, n1, n2$/);
		const many = Array.from({ length: 25 }, (_, index) => ({ id: `m${index}` }));
		expect(new UnknownNode("n9", many).message).toMatch(/ m18, m19, 5 more$/);
		expect(requests).toEqual([]);
	});
});

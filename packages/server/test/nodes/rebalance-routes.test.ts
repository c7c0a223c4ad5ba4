import { defaultConfig } from "@shardcast/config";
import type { Ask, ClusterNode, ClusterNodes } from "@shardcast/control";
import { clusterNodesQuestion, nodeConnectionsQuestion, rebalanceQuestion } from "@shardcast/control";
import type { HttpRequest, Reply } from "@shardcast/http";
import { expect, it } from "vitest";
import { ApiAccess } from "../../src/http/api-access.ts";
import { rebalanceRoutes } from "../../src/nodes/rebalance-routes.ts";

const node = (id: string, connections: number, changes: Partial<ClusterNode> = {}): ClusterNode => ({
	...{ id, connections, address: "", url: "", region: "", version: "1", status: "serving", health: "healthy", shards: 1 },
	...{ maxConnections: 1000, weight: 1, messagesPerSecond: 0, bytesPerSecond: 0, deliveriesPerSecond: 0, cpu: 0, memory: 0 },
	...{ memoryBytes: 0, loopLagMs: 0, term: 1, heartbeatAt: 1, ...changes },
});
const known = (...nodes: readonly ClusterNode[]) => ({ id: "n1", state: "member", nodes, totals: {} }) as unknown as ClusterNodes;

const keys = { apiKeys: [{ name: "ops", key: "key-of-the-ops", formerKey: undefined, methods: ["rebalance", "info"], channels: [] }] };
const others = { apiKeys: [{ name: "chat", key: "key-of-the-chat", formerKey: undefined, methods: ["publish"], channels: [] }] };

function setup(
	nodes: ClusterNodes | null,
	options: object = keys,
	orders: (order: unknown) => unknown = () => ({ n1: 30 }),
	now: object = {},
) {
	const ordered: unknown[] = [];
	const ask = (async (question: { readonly name: string }, request: unknown) => {
		if (question.name === clusterNodesQuestion.name) return nodes;
		if (question.name === nodeConnectionsQuestion.name) return now;
		expect(question.name).toBe(rebalanceQuestion.name);
		ordered.push(request);
		return orders(request);
	}) as Ask;
	const config = { ...defaultConfig(), ...options };
	const [get, post] = rebalanceRoutes({ ask, access: new ApiAccess({ config }), config: () => ({ ...config, selectRegion: "any" }) });
	const request = (key: string, query = "") =>
		({ query, address: "127.0.0.1", header: (name: string) => (name === "x-api-key" ? key : "") }) as unknown as HttpRequest;
	const read = ({ status, body }: Reply) => [status, JSON.parse(body.toString())];
	return {
		ordered,
		get: async (query = "", key = "key-of-the-ops") => read(await get.answer(request(key, query))),
		post: async (body = "", key = "key-of-the-ops") => {
			const begun = post.begin(request(key));
			return read(typeof begun === "function" ? ((await begun(Buffer.from(body))) as Reply) : begun);
		},
	};
}

it("GET recommends and changes nothing, POST carries it out", async () => {
	const { get, post, ordered } = setup(known(node("n1", 100), node("n2", 40), node("n3", 0, { status: "draining" })));
	const plan = {
		recommended: true,
		clients: 30,
		tolerance: 0.1,
		nodes: [
			{ id: "n1", connections: 100, share: 70, leaving: 30, arriving: 0 },
			{ id: "n2", connections: 40, share: 70, leaving: 0, arriving: 30 },
		],
	};
	expect(await get()).toEqual([200, plan]);
	expect(ordered).toEqual([]);
	expect(await post()).toEqual([200, { ...plan, moving: { n1: 30 } }]);
	expect(ordered).toEqual([{ keep: { n1: 70 }, to: ["n2"], rate: 80 }]);
	expect(await get("tolerance=0.5")).toMatchObject([200, { recommended: false, clients: 0 }]);
	expect(await post('{"tolerance": 0.5}')).toMatchObject([200, { clients: 0 }]);
	expect(ordered.at(-1), "an order that ends a rebalance in progress").toEqual({ keep: {}, to: [], rate: 80 });
});

it("only a key that permits it may rebalance; without any key, nobody", async () => {
	const nodes = known(node("n1", 100), node("n2", 40));
	for (const options of [{}, others, keys]) {
		const { post, ordered } = setup(nodes, options);
		const [status] = await post("", options === others ? "key-of-the-chat" : "wrong");
		expect(status).toBe(options === keys ? 401 : 403);
		expect(ordered).toEqual([]);
	}
	expect((await setup(nodes, others).get("", "key-of-the-chat"))[0], "reading needs info").toBe(403);
});

it.each(['{"tolerance": "1"}', '{"tolerance": -0.1}', '{"tolerance": 1.1}', '{"tolerence": 0.1}', "[]", "{", "null"])(
	"POST with %s is refused",
	async (body) => {
		const { post, ordered } = setup(known(node("n1", 100), node("n2", 40)));
		expect((await post(body))[0]).toBe(400);
		expect(ordered).toEqual([]);
	},
);

it("tells a wrong tolerance, a machine that works alone, and a node that did not answer", async () => {
	const { get } = setup(known());
	for (const query of ["tolerance=", "tolerance=x", "tolerance=2"]) expect((await get(query))[0], query).toBe(400);
	const alone = setup(null);
	expect([(await alone.get())[0], (await alone.post())[0]]).toEqual([404, 404]);
	const failing = setup(known(node("n1", 100), node("n2", 40)), keys, () => {
		throw new Error('n2 (no answer) may not have carried out "rebalance"');
	});
	expect(await failing.post()).toMatchObject([503, { error: { message: expect.stringContaining("n2 (no answer)") as string } }]);
});

it("POST counts the connections now: heartbeats of different times would move clients twice", async () => {
	const { post, ordered } = setup(known(node("n1", 84), node("n2", 0)), keys, () => ({ n1: 24 }), { n1: 84, n2: 36 });
	expect(await post()).toMatchObject([
		200,
		{
			clients: 24,
			nodes: [
				{ connections: 84, share: 60 },
				{ connections: 36, share: 60 },
			],
		},
	]);
	expect(ordered).toEqual([{ keep: { n1: 60 }, to: ["n2"], rate: 80 }]);
});

import { defaultConfig } from "@shardcast/config";
import { type Ask, type ClusterNodes, clusterNodesQuestion, failoverQuestion } from "@shardcast/control";
import type { HttpRequest, Reply } from "@shardcast/http";
import { expect, it } from "vitest";
import { ApiAccess } from "../../src/http/api-access.ts";
import { failoverRoute } from "../../src/nodes/failover-route.ts";

const keyOf = (method: string) => ({ name: method, key: `key-for-${method}`, formerKey: undefined, methods: [method], channels: [] });
const nodes = (...all: readonly string[]) =>
	({
		id: "n1",
		state: "member",
		nodes: all.map((text) => {
			const [id, status, away] = text.split(" ");
			return { id, status, health: "healthy", ...(away === "away" && { away: true }) };
		}),
	}) as unknown;

function setup(known: unknown, carryOut: () => null = () => null) {
	const ordered: unknown[] = [];
	const ask = (async (question: { readonly name: string }, request: unknown) => {
		if (question.name === clusterNodesQuestion.name) return known as ClusterNodes;
		expect(question.name).toBe(failoverQuestion.name);
		ordered.push(request);
		return carryOut();
	}) as Ask;
	const config = { ...defaultConfig(), apiKeys: [keyOf("failover"), keyOf("rebalance")] };
	const route = failoverRoute({ ask, access: new ApiAccess({ config }) });
	return {
		ordered,
		post: async (body: string, key = "key-for-failover") => {
			const header = (name: string) => (name === "x-api-key" ? key : "");
			const begun = route.begin({ query: "", address: "127.0.0.1", header } as unknown as HttpRequest);
			const { status, body: text } = typeof begun === "function" ? ((await begun(Buffer.from(body))) as Reply) : begun;
			return [status, JSON.parse(text.toString())];
		},
	};
}

it("gives the order, and answers with it", async () => {
	const { post, ordered } = setup(nodes("n1 serving", "n2 serving"));
	expect(await post('{"node": "n2"}')).toEqual([200, { node: "n2" }]);
	expect(await post('{"node": "n1", "strategy": "immediate"}')).toEqual([200, { node: "n1", strategy: "immediate" }]);
	expect(ordered).toEqual([{ node: "n2" }, { node: "n1", strategy: "immediate" }]);
});

it("needs a key that permits this order", async () => {
	const { post, ordered } = setup(nodes("n1 serving", "n2 serving"));
	expect((await post('{"node": "n2"}', "key-for-rebalance"))[0]).toBe(403);
	expect((await post('{"node": "n2"}', ""))[0]).toBe(401);
	expect(ordered).toEqual([]);
});

it.each([
	["", 400, /node is missing/],
	['{"node": ""}', 400, /node is missing/],
	["to=n2", 400, /^the body is not JSON: o is not expected at byte 1; it must be a JSON object, and its fields are node, strategy$/],
	["{'node': 'n2'}", 400, /^the body is not JSON: ' is not expected at byte 1;/],
	["[]", 400, /^body is not an object; it must be a JSON object/],
	['{"node": 7}', 400, /node is not a string/],
	['{"node": "n2", "strategy": "now"}', 400, /strategy is not one of graceful, immediate, delayed/],
	['{"node": "n2", "delay": 3}', 400, /"delay" is not one of node, strategy/],
	['{"node": "n9"}', 404, /there is no node "n9"; there are n1, n2, n3/],
])("%s is refused with %i", async (body, status, message) => {
	const { post, ordered } = setup(nodes("n1 serving", "n2 serving", "n3 draining"));
	expect(await post(body)).toEqual([
		status,
		{ error: expect.objectContaining({ message: expect.stringMatching(message) as string }) as object },
	]);
	expect(ordered).toEqual([]);
});

it("is refused when no other node takes clients, where there is no Redis, and when the node does not answer", async () => {
	const last = setup(nodes("n1 serving", "n2 draining"));
	expect(await last.post('{"node": "n1"}')).toMatchObject([503, { error: { code: "no_node" } }]);
	const killed = setup(nodes("n1 serving", "n2 serving away"));
	expect(await killed.post('{"node": "n1"}'), "the other was killed a moment ago").toMatchObject([503, { error: { code: "no_node" } }]);
	expect(killed.ordered).toEqual([]);
	expect((await last.post('{"node": "n2"}'))[0], "of one that is draining already").toBe(200);
	expect((await setup(null).post('{"node": "n1"}'))[0]).toBe(404);
	const silent = setup(nodes("n1 serving", "n2 serving"), () => {
		throw new Error('n2 (no answer) may not have carried out "failover"');
	});
	expect(await silent.post('{"node": "n2"}')).toMatchObject([503, { error: { code: "unavailable" } }]);
});

import { type Ask, answerInventory, PartAnswers, Questions } from "@shardcast/control";
import { describe, expect, it } from "vitest";
import { ApiCall, ApiRequest } from "../../../src/http/api/api-call.ts";
import { clusterMethods } from "../../../src/http/api/cluster-methods.ts";
import { unrestrictedKey } from "../../../src/http/api-keys.ts";
import { FirstNames } from "../../../src/sessions/centrifuge/first-names.ts";
import { CentrifugeRig } from "../../support/centrifuge-rig.ts";
import { serverApi } from "../../support/server-api.ts";
import { tokenOf, tokenSecret } from "../../support/tokens.ts";

/** Two shards, and the methods of the server API about them. */
function cluster() {
	const rigs = [new CentrifugeRig({ tokenHmacSecret: tokenSecret }), new CentrifugeRig({ tokenHmacSecret: tokenSecret })];
	const shards = rigs.map((rig, index) => {
		const answers = new PartAnswers();
		rig.endpoint.answers(answers);
		return {
			name: `shard-${index}`,
			isShard: true,
			request: async (name: string, request: unknown) => JSON.parse(JSON.stringify(await answers.answer(name, request))) as unknown,
		};
	});
	const questions = new Questions({ processes: () => shards });
	answerInventory(questions);
	const ask: Ask = (question, request) => questions.ask(question, request);
	const methods = clusterMethods({ ask });
	const call = async (method: "channels" | "connections", fields: object) => {
		const body = Buffer.from(JSON.stringify(fields));
		return JSON.parse(String(await methods[method](new ApiCall(new ApiRequest(unrestrictedKey, {} as never), body)))) as {
			readonly channels: object;
			readonly connections: object;
			readonly next_cursor?: string;
		};
	};
	const join = (shard: number, ...channels: readonly string[]) => {
		const client = rigs[shard]!.connected();
		for (const [index, channel] of channels.entries()) client.send({ subscribe: { channel }, id: index + 2 });
		return client;
	};
	const connect = async (shard: number, sub: string) => {
		const client = rigs[shard]!.open();
		client.send({ connect: { token: await tokenOf({ sub }) }, id: 1 });
		await client.settled();
		return client.session;
	};
	return { call, connect, join };
}

describe("channels, page by page", () => {
	it("are listed by name over all shards, each once, with the subscribers of all shards", async () => {
		const { call, join } = cluster();
		join(0, "b", "a", "d", "f", "10");
		join(1, "c", "b", "e", "9", "f");
		const pages: object[] = [];
		let cursor: string | undefined;
		do {
			const page = await call("channels", { limit: 3, ...(cursor !== undefined && { cursor }) });
			pages.push(page.channels);
			cursor = page.next_cursor;
		} while (cursor !== undefined && pages.length < 10);
		const one = { num_clients: 1 };
		const two = { num_clients: 2 };
		expect(pages).toEqual([
			{ "10": one, "9": one, a: one },
			{ b: two, c: one, d: one },
			{ e: one, f: two },
		]);
		expect(await call("channels", { limit: 8 }), "a page that is just full is the last").not.toHaveProperty("next_cursor");
		expect(Object.keys((await call("channels", { cursor: "c", pattern: "[a-e]" })).channels)).toEqual([]);
		expect(Object.keys((await call("channels", { cursor: "c", pattern: "?" })).channels)).toEqual(["d", "e", "f"]);
		expect(Object.keys((await call("channels", {})).channels), "all").toHaveLength(8);
	});

	it.each([{ limit: -1 }, { limit: 1.5 }, { limit: 10_001 }, { limit: "1" }, { cursor: 1 }, { cursor: "x".repeat(256) }])(
		"%j is refused",
		async (fields) => {
			await expect(cluster().call("channels", fields)).rejects.toThrow(/limit|cursor/);
		},
	);

	it("the first of many names are found without a list of all names", () => {
		const first = new FirstNames<number>(3);
		const names = Array.from({ length: 5000 }, (_, index) => `n${((index * 7919) % 5000) + 10_000}`);
		for (const [index, name] of names.entries()) first.add(name, index);
		expect(first.list.map(([name]) => name)).toEqual(["n10000", "n10001", "n10002"]);
		expect(new FirstNames<number>(3).list).toEqual([]);
	});
});

it("connections of a user are listed page by page, by client id, each once", async () => {
	const { call, connect } = cluster();
	const sessions = await Promise.all([0, 1, 1, 0, 1].map((shard) => connect(shard, "ann")));
	await connect(0, "bob");
	const ids: string[] = [];
	const lengths: number[] = [];
	let cursor: string | undefined;
	do {
		const page = await call("connections", { user: "ann", limit: 2, ...(cursor !== undefined && { cursor }) });
		ids.push(...Object.keys(page.connections));
		lengths.push(Object.keys(page.connections).length);
		cursor = page.next_cursor;
	} while (cursor !== undefined && lengths.length < 10);
	expect(lengths).toEqual([2, 2, 1]);
	expect(ids).toEqual(sessions.map(({ id }) => id).toSorted());
	expect(Object.keys((await call("connections", { user: "ann" })).connections), "all").toHaveLength(5);
});

it.each([
	["channels", "32768 channels, or 4 MiB of names; ask for pages with limit and cursor, or with a pattern that fewer names match"],
	["connections", "32768 connections, or 4 MiB of names; ask for pages with limit and cursor"],
])("more %s than an answer can hold: error 106, which names the limit", async (method, limit) => {
	expect(await serverApi(null).post(method, { user: "ann" })).toEqual({
		status: 200,
		body: { error: { code: 106, message: `limit exceeded: an answer has at most ${limit}` } },
	});
});

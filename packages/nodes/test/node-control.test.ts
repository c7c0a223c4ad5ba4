import type { NodeParts } from "@shardcast/control";
import { RedisError } from "@shardcast/redis";
import { describe, expect, it } from "vitest";
import { controlLimits, readAnswer, readRequest, writeAnswer, writeRequest } from "../src/control/control-messages.ts";
import { NodeControl, type NodeControlParts } from "../src/control/node-control.ts";
import { nodeKeys } from "../src/node-keys.ts";
import { FakePubSub } from "./support/fake-pub-sub.ts";

const keys = nodeKeys("ws", false);
const deadlineMs = 20_000;

type Answer = NodeControlParts["answer"];

/** Nodes of a test in this process, with what they answer. */
async function together(answers: Readonly<Record<string, Answer | "away">>) {
	const pubSub = new FakePubSub();
	const warnings: string[] = [];
	const all = Object.keys(answers).map((id) => ({ id, instance: `${id}-instance` }));
	const nodes = new Map<string, NodeControl>();
	for (const [id, answer] of Object.entries(answers)) {
		if (answer === "away") continue;
		const node = new NodeControl({
			redis: pubSub,
			keys,
			own: { id, instance: `${id}-instance` },
			others: () => all.filter((each) => each.id !== id),
			answer,
			log: { warn: (text: unknown) => void warnings.push(String(text)) },
		});
		await node.start();
		nodes.set(id, node);
	}
	return { pubSub, warnings, node: (id: string) => nodes.get(id)! };
}

const says =
	(...parts: readonly unknown[]): Answer =>
	async () =>
		parts;
const byNode = (answers: readonly NodeParts[]) => Object.fromEntries(answers.map(({ node, ...rest }) => [node, rest]));

describe("questions between nodes", () => {
	it("reach all other nodes, and each answers for its processes", async () => {
		const asked: unknown[] = [];
		const { node } = await together({
			n1: says("not asked"),
			n2: async (...request) => {
				asked.push(request);
				return [1, 2];
			},
			n3: says(),
		});
		expect(byNode(await node("n1").ask("count", { of: "news" }, deadlineMs))).toEqual({ n2: { parts: [1, 2] }, n3: { parts: [] } });
		expect(asked).toEqual([["count", { of: "news" }]]);
		expect(node("n1").counts.asked).toEqual({ answered: 2, failed: 0, late: 0, away: 0 });
		expect(node("n2").counts.requests).toEqual({ answered: 1, failed: 0, busy: 0 });
	});

	it("do not wait for a node that is not connected to Redis, and say so", async () => {
		const { node } = await together({ n1: says(), n2: says(7), n3: "away" });
		expect(byNode(await node("n1").ask("count", null, deadlineMs))).toEqual({
			n2: { parts: [7] },
			n3: { problem: "it is not connected to Redis", isAway: true },
		});
		expect(node("n1").counts.asked.away).toBe(1);
	});

	it("name a node that does not answer in time, and one that answers with an error", async () => {
		const { node } = await together({
			n1: says(),
			n2: () => new Promise(() => undefined),
			n3: () => Promise.reject(new Error("shard-0 did not answer")),
		});
		expect(byNode(await node("n1").ask("count", null, 50))).toEqual({
			n2: { problem: "no answer within 50 ms", isAway: false },
			n3: { problem: "shard-0 did not answer", isAway: false },
		});
		expect(node("n1").counts.asked).toEqual({ answered: 0, failed: 1, late: 1, away: 0 });
	});

	it("reach nobody while Redis is not reached, or breaks off, and say why", async () => {
		const { node, pubSub } = await together({ n1: says(), n2: says(1) });
		pubSub.error = new RedisError("interrupted", "connection lost");
		expect(byNode(await node("n1").ask("count", null, deadlineMs))).toEqual({ n2: { problem: "connection lost", isAway: true } });
		pubSub.state = "connecting";
		expect(byNode(await node("n1").ask("count", null, deadlineMs))).toEqual({ n2: { problem: "connection lost", isAway: true } });
		const alone = await together({ n1: says() });
		alone.pubSub.state = "connecting";
		expect(byNode(await alone.node("n1").ask("count", null, deadlineMs)), "nobody is known").toEqual({
			"other nodes": { problem: "Redis is not reached", isAway: true },
		});
	});

	it("at most 64 are answered at once; the next one is refused with a reason", async () => {
		const waiting: (() => void)[] = [];
		const { node, pubSub } = await together({
			n1: says(),
			n2: () => new Promise((resolve) => waiting.push(() => resolve([1]))),
		});
		const request = (id: string) => writeRequest({ id, node: "n1", instance: "n1-instance", question: "count", request: null });
		for (let index = 0; index < 64; index++) await pubSub.send(null, ["SPUBLISH", keys.control, request(`other-${index}`)]);
		expect(waiting.length, "questions in progress").toBe(64);
		expect(byNode(await node("n1").ask("count", null, deadlineMs))).toEqual({
			n2: { problem: "64 questions of other nodes are already in progress", isAway: false },
		});
		for (const finish of waiting) finish();
		expect(node("n2").counts.requests.busy).toBe(1);
	});

	it("a long answer is compressed; one that is too long is an error that says so", { tags: ["long"] }, async () => {
		const long = Array.from({ length: 50_000 }, (_, index) => ({ client: `client-${index}`, user: "ann" }));
		const { node } = await together({ n1: says(), n2: says(long), n3: says("x".repeat(controlLimits.inflatedBytes)) });
		const answers = byNode(await node("n1").ask("count", null, deadlineMs));
		expect(answers.n2).toEqual({ parts: [long] });
		expect(answers.n3).toMatchObject({ problem: "the answer has more than 33554432 bytes", isAway: false });
		const bytes = await writeAnswer({ id: "1", node: "n2", parts: [long] });
		expect(bytes.length).toBeLessThan(JSON.stringify(long).length / 3);
		expect(() =>
			writeRequest({ id: "1", node: "n", instance: "i", question: "q", request: "x".repeat(controlLimits.requestBytes) }),
		).toThrow("it has more than 524288 bytes");
	});

	it("whatever else comes over the channels harms nobody, and is counted", { tags: ["long"] }, async () => {
		const { node, pubSub, warnings } = await together({ n1: says(), n2: says(1) });
		const question = Buffer.from(writeRequest({ id: "1", node: "n9", instance: "i9", question: "count", request: { of: "a" } }));
		const answer = await writeAnswer({ id: "1", node: "n9", parts: [1, "two"] });
		const compressed = await writeAnswer({ id: "1", node: "n9", parts: ["x".repeat(20_000)] });
		const bomb = Buffer.concat([Buffer.of(1), Buffer.alloc(1000)]);
		let seed = 1;
		const random = (below: number) => {
			seed = (seed * 48_271) % 2_147_483_647;
			return seed % below;
		};
		const others = ["", "null", "[]", "{}", '{"version":1}', '{"version":1,"id":{},"node":1}', '{"version":1,"id":"../x","node":"n"}'].map(
			(text) => Buffer.from(text),
		);
		for (let round = 0; round < 400; round++) {
			const from = [question, answer, compressed, bomb, ...others][random(4 + others.length)]!;
			const bytes = Buffer.from(from.subarray(0, random(4) === 0 ? random(from.length + 1) : from.length));
			for (let change = random(4); change > 0 && bytes.length > 0; change--) bytes[random(bytes.length)] = random(256);
			for (const channel of [keys.control, keys.answers("n1-instance")]) await pubSub.send(null, ["SPUBLISH", channel, bytes]);
			await readAnswer(bytes).catch(() => undefined);
		}
		expect(() => readRequest(Buffer.alloc(controlLimits.requestBytes + 1))).toThrow("bytes");
		await expect(readAnswer(Buffer.alloc(controlLimits.answerBytes + 1))).rejects.toThrow("bytes");
		expect(byNode(await node("n1").ask("count", null, deadlineMs)), "an answer afterwards").toEqual({ n2: { parts: [1] } });
		expect(node("n1").counts.unreadable).toBeGreaterThan(400);
		expect(warnings.length, "lines in the log").toBe(2);
	});

	it("an answer to a question that nobody has asked, or a second one of the same node, changes nothing", async () => {
		const { node, pubSub } = await together({ n1: says(), n2: () => new Promise(() => undefined), n3: () => new Promise(() => undefined) });
		let sent = "";
		await pubSub.subscribe(keys.control, (message) => {
			sent = message.toString();
		});
		const answers = node("n1").ask("count", null, deadlineMs);
		const { id } = JSON.parse(sent) as { id: string };
		const reply = async (of: string, part: number, from = "n2") =>
			pubSub.send(null, ["SPUBLISH", keys.answers("n1-instance"), await writeAnswer({ id: of, node: from, parts: [part] })]);
		await reply("unknown", 1);
		await reply(id, 2);
		await reply(id, 3);
		await reply(id, 4, "n3");
		expect(byNode(await answers)).toEqual({ n2: { parts: [2] }, n3: { parts: [4] } });
	});
});

import { EventEmitter } from "node:events";
import { describe, expect, it } from "vitest";
import { PartAnswers } from "../src/asking/part-answers.ts";
import type { Question } from "../src/asking/question.ts";
import { type AskedProcess, type NodeParts, type OtherNodes, Questions } from "../src/asking/questions.ts";
import type { FromChild, ToChild } from "../src/messages.ts";
import { ChildLink } from "../src/parent-end.ts";
import {
	channelCountsRequest,
	connectionsRequest,
	disconnectRequest,
	nothing,
	presenceRequest,
	refreshRequest,
	revocationChange,
	subscribeRequest,
	unsubscribeRequest,
} from "../src/questions/requests.ts";

const count: Question<{ readonly of: string }, number, number> = {
	name: "count",
	asks: "shards",
	deadlineMs: 200,
	check: (data) => {
		if (typeof data !== "number") throw new Error("it is no number");
		return data;
	},
};

const asked = (name: string, request: AskedProcess["request"]): AskedProcess => ({ name, isShard: name.startsWith("shard"), request });
const answering = (name: string, part: unknown) => asked(name, async () => part);
function asking(processes: readonly AskedProcess[], tell: (text: string) => void = () => {}): Questions {
	const questions = new Questions({ processes: () => processes, log: { warn: (first: unknown) => tell(String(first)) } });
	questions.add(count, (parts) => parts.reduce((sum, part) => sum + part, 0));
	return questions;
}
const missing = (questions: Questions) => Object.fromEntries(questions.missing.get("count")!);

describe("a question to all processes", () => {
	it("is put to those that have a part, and their parts are merged", async () => {
		const requests: unknown[] = [];
		const shard = (slot: number) =>
			asked(`shard-${slot}`, async (question, request, deadlineMs) => {
				requests.push([question, request, deadlineMs]);
				return slot;
			});
		const questions = asking([shard(1), shard(2), answering("balancer", 100)]);
		expect(await questions.ask(count, { of: "news" })).toBe(3);
		expect(requests).toEqual([
			["count", { of: "news" }, 200],
			["count", { of: "news" }, 200],
		]);
		expect(missing(questions)).toEqual({ "shard-1": 0, "shard-2": 0 });
		questions.add({ ...count, name: "everybody", asks: "everyProcess" }, (parts) => parts.length);
		expect(await questions.answer("everybody", null)).toBe(3);
	});

	it("is answered by the asking process as well, if that has something to say", async () => {
		const answers = new PartAnswers();
		const questions = new Questions({ processes: () => [], own: { name: "shard-0", answers } });
		questions.add(count, (parts) => parts.length);
		expect(await questions.ask(count, { of: "a" })).toBe(0);
		answers.add(count, ({ of }) => of.length);
		expect(await questions.ask(count, { of: "a" })).toBe(1);
	});

	it("does not wait for a late process longer than its deadline, nor for one that is gone, and counts both", {
		tags: ["long"],
	}, async () => {
		const told: string[] = [];
		const late = asked("shard-1", () => new Promise(() => undefined));
		const gone = asked("shard-2", () => Promise.reject(new Error("a child is gone")));
		const questions = asking([answering("shard-0", 7), late, gone, answering("shard-3", "nonsense")], (text) => told.push(text));
		const beganMs = performance.now();
		expect(await questions.ask(count, { of: "" })).toBe(7);
		expect(performance.now() - beganMs).toBeLessThan(1000);
		expect(missing(questions)).toEqual({ "shard-0": 0, "shard-1": 1, "shard-2": 1, "shard-3": 1 });
		expect(told.sort()).toEqual([
			'the answer to "count" goes out without shard-1: the count of shard-1 took longer than 200 ms',
			'the answer to "count" goes out without shard-2: a child is gone',
			'the answer to "count" goes out without shard-3: it is no number',
		]);
	});

	it("what is told once is told again after a part that was there", async () => {
		const told: string[] = [];
		const answers = ["", "", 1, "", ""];
		const questions = asking([asked("shard-0", async () => answers.shift())], (text) => told.push(text));
		for (let time = 0; time < 5; time++) await questions.ask(count, { of: "" });
		expect(told).toHaveLength(2);
		expect(missing(questions)).toEqual({ "shard-0": 4 });
	});

	it("is shared by requests for the same while the answer is being made; others have their own, up to a bound", async () => {
		let requests = 0;
		const questions = asking([asked("shard-0", async () => ++requests)]);
		const same = await Promise.all(Array.from({ length: 20 }, () => questions.ask(count, { of: "a" })));
		expect(new Set(same)).toEqual(new Set([1]));
		const others = await Promise.allSettled(Array.from({ length: 70 }, (_, index) => questions.ask(count, { of: `${index}` })));
		expect(others.filter(({ status }) => status === "fulfilled")).toHaveLength(64);
		expect(others.at(-1)).toMatchObject({ reason: { message: "64 questions are already in progress" } });
		expect(await questions.ask(count, { of: "a" })).toBe(66);
	});

	it("that is an order is carried out for each request, and fails when a process may not have carried it out", {
		tags: ["long"],
	}, async () => {
		const order = { ...count, name: "order", isOrder: true };
		let done = 0;
		const working = asked("shard-0", async () => ++done);
		const told: string[] = [];
		const late = asked("shard-1", () => new Promise(() => undefined));
		const processes = [working];
		const questions = asking(processes, (text) => told.push(text));
		questions.add(order, (parts) => parts.length);
		expect(await Promise.all([questions.ask(order, { of: "a" }), questions.ask(order, { of: "a" })])).toEqual([1, 1]);
		expect(done).toBe(2);
		const many = await Promise.allSettled(Array.from({ length: 70 }, () => questions.ask(order, { of: "a" })));
		expect(many.filter(({ status }) => status === "fulfilled")).toHaveLength(64);
		processes.push(late);
		await expect(questions.ask(order, { of: "a" })).rejects.toThrow('shard-1 may not have carried out "order"');
		expect(told).toEqual(['shard-1 may not have carried out "order": the order of shard-1 took longer than 200 ms']);
		expect(done).toBe(67);
	});

	it("that must be whole has no answer without the part of a process", async () => {
		const whole = { ...count, name: "whole", isWhole: true };
		const told: string[] = [];
		const processes = [asked("shard-0", async () => 1)];
		const questions = asking(processes, (text) => told.push(text));
		questions.add(whole, (parts) => parts.length);
		expect(await questions.ask(whole, { of: "a" })).toBe(1);
		processes.push(asked("shard-1", () => Promise.reject(new Error("busy"))));
		await expect(questions.ask(whole, { of: "a" })).rejects.toThrow('shard-1 did not answer "whole"');
		expect(told).toEqual(['shard-1 did not answer "whole", so nobody gets an answer: busy']);
	});

	describe("of several nodes", () => {
		const across = { ...count, name: "across", acrossNodes: { check: presenceRequest as never } };
		const order = {
			...across,
			name: "order",
			isOrder: true,
			acrossNodes: { ...across.acrossNodes, when: ({ of }: { of: string }) => of !== "here" },
		};
		const whole = { ...across, name: "whole", isWhole: true };
		const away = { node: "n3", problem: "not connected", isAway: true };
		const late = { node: "n4", problem: "no answer", isAway: false };
		function cluster(answers: readonly NodeParts[]) {
			const requests: unknown[] = [];
			const nodes: OtherNodes = {
				ask: async (...request) => {
					requests.push(request);
					return answers;
				},
			};
			const questions = new Questions({ processes: () => [answering("shard-0", 1)], nodes: () => nodes });
			for (const question of [count, across, order, whole]) questions.add(question, (parts) => parts.reduce((sum, part) => sum + part, 0));
			return { questions, requests };
		}

		it("is put to the other nodes as well, if it concerns them, and their parts are merged", async () => {
			const { questions, requests } = cluster([{ node: "n2", parts: [10, 20] }, away]);
			expect(await questions.ask(across, { of: "a" })).toBe(31);
			expect(await questions.ask(whole, { of: "a" }), "a node that is away is left out").toBe(31);
			expect(await questions.ask(count, { of: "a" }), "a question that concerns this node only").toBe(1);
			expect(requests).toEqual(["across", "whole"].map((name) => [name, { of: "a" }, 300]));
		});

		it("that must be whole fails without a node that is there; an order fails without any", async () => {
			const { questions } = cluster([{ node: "n2", parts: [10] }, late]);
			await expect(questions.ask(whole, { of: "a" })).rejects.toThrow('n4 (no answer) did not answer "whole"');
			const ordering = cluster([{ node: "n2", parts: [10] }, away, late]).questions;
			await expect(ordering.ask(order, { of: "a" })).rejects.toThrow('n3 (not connected), n4 (no answer) may not have carried out "order"');
			expect(await ordering.ask(order, { of: "here" }), "an order for this node only").toBe(1);
			expect(await cluster([late]).questions.ask(across, { of: "a" })).toBe(1);
		});

		it("leaves nothing in an answer that is not a part of it", async () => {
			const { questions } = cluster([{ node: "n2", parts: [10, "two"] }]);
			await expect(questions.ask(across, { of: "a" })).rejects.toThrow('n2 (it is no number) did not answer "across"');
		});

		it("is answered for another node only if it concerns nodes, and with a valid request", async () => {
			const { questions } = cluster([]);
			expect(await questions.partsForNode("across", { channel: "a" })).toEqual([1]);
			await expect(questions.partsForNode("across", { channel: 1 })).rejects.toThrow("channel is not a string of at most 4096 characters");
			await expect(questions.partsForNode("count", { channel: "a" })).rejects.toThrow('nodes do not answer "count" for each other');
			await expect(questions.partsForNode("riddle", {})).rejects.toThrow('nodes do not answer "riddle" for each other');
		});
	});

	it("requests of other nodes: each is taken as it was sent, and none with a field of another kind", { tags: ["long"] }, () => {
		const user = { user: "ann" };
		const valid: readonly (readonly [(data: unknown) => unknown, object])[] = [
			[presenceRequest, { channel: "news" }],
			[channelCountsRequest, { patterns: ["a*"], after: "b", most: 3 }],
			[connectionsRequest, { ...user, after: "b", most: 3 }],
			[
				subscribeRequest,
				{
					...{ ...user, client: "c", session: "s", channel: "news", info: '{"a":1}', data: "[]", expireAt: 9 },
					...{ recoverSince: { offset: 1, epoch: "e" }, override: { presence: true } },
				},
			],
			[unsubscribeRequest, { ...user, channel: "news" }],
			[disconnectRequest, { ...user, code: 3000, reason: "why", whitelist: ["c"] }],
			[refreshRequest, { ...user, expired: false, expireAt: 9, info: "{}" }],
			[revocationChange, { add: { kind: "user", id: "ann", until: 9 } }],
			[revocationChange, { add: { kind: "user_tokens", id: "ann", before: 9 } }],
			[revocationChange, { remove: { kind: "token", id: "t" } }],
		];
		const wrong: readonly unknown[] = [null, [], {}, -1, Number.NaN, "x".repeat(300_000), [1], { a: 1 }, true, "{"];
		const spoiled = (data: object): unknown[] =>
			Object.entries(data).flatMap(([name, value]) => [
				...wrong.map((other) => ({ ...data, [name]: other })),
				...(typeof value === "object" && !Array.isArray(value)
					? spoiled(value as object).map((inner) => ({ ...data, [name]: inner }))
					: []),
			]);
		for (const [check, data] of valid) {
			expect(check(data)).toEqual(data);
			for (const other of [...wrong, ...spoiled(data)]) {
				let read: unknown;
				try {
					read = check(other);
				} catch (error) {
					expect(error, `for ${JSON.stringify(other)?.slice(0, 200)}`).not.toBeInstanceOf(TypeError);
					continue;
				}
				expect(check(read), "what was taken is valid").toEqual(read);
			}
		}
		expect(() => disconnectRequest({ ...user, code: 1000, reason: "" })).toThrow("code is not a whole number from 3000 to 4999");
		expect(() => unsubscribeRequest({ user: "", channel: "news" })).toThrow("user is empty");
		expect(() => nothing({})).toThrow("the request is not null");
	});

	it("is an error when nobody knows it; a name is taken once", async () => {
		const questions = asking([]);
		await expect(questions.answer("riddle", null)).rejects.toThrow('unknown question "riddle"');
		expect(() => questions.add(count, () => 0)).toThrow(/"count" already/);
		const parts = new PartAnswers();
		parts.add(count, () => 1);
		expect(() => parts.add(count, () => 1)).toThrow(/"count" already has an answer/);
		await expect(parts.answer("riddle", null)).rejects.toThrow('no answer to the question "riddle"');
	});
});

/** A child process as its supervisor sees it. */
class Child extends EventEmitter {
	connected = true;
	readonly sent: ToChild[] = [];

	send(message: ToChild): void {
		this.sent.push(message);
	}

	says(message: FromChild): void {
		this.emit("message", message);
	}

	dies(): void {
		this.connected = false;
		this.emit("disconnect");
	}
}

describe("questions over the fork IPC", () => {
	function link(answer = async (_question: string, request: unknown): Promise<unknown> => request) {
		const child = new Child();
		return { child, link: new ChildLink(child as never, () => {}, answer) };
	}

	it("a part comes back, or why there is none", async () => {
		const { child, link: to } = link();
		const parts = [to.request("count", { of: "a" }, 1000), to.request("count", { of: "b" }, 1000)];
		expect(child.sent).toEqual([
			{ type: "request", id: 1, question: "count", request: { of: "a" } },
			{ type: "request", id: 2, question: "count", request: { of: "b" } },
		]);
		child.says({ type: "reply", id: 2, reply: { error: "no answer here" } });
		child.says({ type: "reply", id: 1, reply: { data: 5 } });
		expect(await parts[0]).toBe(5);
		await expect(parts[1]).rejects.toThrow("no answer here");
	});

	it("nobody waits for a child that has died", async () => {
		const { child, link: to } = link();
		const part = to.request("count", null, 60_000);
		child.dies();
		await expect(part).rejects.toThrow("a child is gone");
		await expect(to.request("count", null, 60_000)).rejects.toThrow("a child is gone");
	});

	it("a healthy child has a part in each of as many questions as may be under way", async () => {
		const { child, link: to } = link();
		const questions = asking([asked("shard-0", (question, request, deadlineMs) => to.request(question, request, deadlineMs))]);
		const answers = Array.from({ length: 64 }, (_, index) => questions.ask(count, { of: `${index}` }));
		for (const message of child.sent) if (message.type === "request") child.says({ type: "reply", id: message.id, reply: { data: 1 } });
		expect(await Promise.all(answers)).toEqual(answers.map(() => 1));
		expect(missing(questions)).toEqual({ "shard-0": 0 });
	});

	it("a child refuses to wait for more than that", async () => {
		const { child, link: to } = link();
		const parts = Promise.allSettled(Array.from({ length: 65 }, () => to.request("count", null, 60_000)));
		expect(child.sent).toHaveLength(64);
		child.dies();
		expect((await parts).at(-1)).toMatchObject({ reason: { message: "64 questions are already waiting for a child" } });
	});

	it("a child that asks is answered, or told why not", async () => {
		const { child } = link(async (question, request) => {
			if (question !== "count") throw new Error("unknown");
			return request;
		});
		child.says({ type: "ask", id: 7, question: "count", request: 3 });
		child.says({ type: "ask", id: 8, question: "riddle", request: 3 });
		await new Promise(setImmediate);
		expect(child.sent).toEqual([
			{ type: "answer", id: 7, reply: { data: 3 } },
			{ type: "answer", id: 8, reply: { error: "unknown" } },
		]);
	});
});

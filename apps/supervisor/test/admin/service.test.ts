import { describe, expect, it } from "vitest";
import { oneOf, optional, required } from "../../src/admin/arguments.ts";
import { defineVerb, Refused, type Verb } from "../../src/admin/verb.ts";
import { fakeCluster, fakeService } from "./support.ts";

/** A verb that goes on until the test lets it end. */
function steps() {
	let release!: (how: "done" | "partly" | "refused" | "failed") => void;
	let context: Parameters<Verb["run"]>[1] | null = null;
	const verb = defineVerb({
		name: "roll",
		summary: "Roll.",
		arguments: { how: optional(oneOf(["slowly"]), { help: "How." }) },
		changes: true,
		isExclusive: true,
		workers: ["shard"],
		example: "roll",
		async run(_args, given) {
			context = given;
			const how = await new Promise<"done" | "partly" | "refused" | "failed">((resolve) => {
				release = resolve;
			});
			if (how === "refused") throw new Refused("not now");
			if (how === "failed") throw new Error("broke");
			if (how === "partly") given.partly("1 of 2");
			return { rolled: 2 };
		},
		describe: ({ rolled }) => [`rolled ${rolled}`],
	});
	return { verb, release: (how: "done" | "partly" | "refused" | "failed") => release(how), context: () => context! };
}

const looks = defineVerb({
	...{ name: "look", summary: "Look.", arguments: {}, changes: false, workers: ["shard"], example: "look" },
	run: () => ({}),
	describe: () => ["seen"],
});

describe("calls of the admin interface", () => {
	it("answer with the result, or say why there is none", async () => {
		const { verb, release } = steps();
		const { run, errors } = fakeService(fakeCluster(), [verb]);
		for (const [how, status, end] of [
			["done", 200, { outcome: "done", result: { rolled: 2 }, lines: ["rolled 2"] }],
			["partly", 200, { outcome: "partly", reason: "1 of 2", result: { rolled: 2 } }],
			["refused", 409, { outcome: "refused", reason: "not now", lines: [] }],
			["failed", 500, { outcome: "failed", reason: "broke", lines: [] }],
		] as const) {
			const answer = run("roll");
			release(how);
			expect(await answer).toMatchObject({
				status,
				body: { verb: "roll", outcome: how, events: [{ type: "end", ...end }], skipped: 0, next: 1 },
			});
		}
		expect(errors).toEqual(['admin: "roll" of ann (user 0, pid 9) failed: broke']);
	});

	it("tell who did what with which result, but not who looked", async () => {
		const { verb, release } = steps();
		const { run, audit, events } = fakeService(fakeCluster(), [verb, looks]);
		await run("look");
		expect(audit).toEqual([]);
		const rolled = run("roll", { how: "slowly" });
		release("partly");
		await rolled;
		expect(audit[0]).toBe('admin: ann (user 0, pid 9) runs "roll --how slowly"');
		expect(audit[1]).toMatch(/^admin: "roll --how slowly" of ann \(user 0, pid 9\): partly: 1 of 2, \d+ ms$/);
		expect(events).toEqual(['"roll --how slowly" of ann (user 0, pid 9): partly: 1 of 2']);
	});

	it("that only look do not push out the result of one that has changed something", async () => {
		const { verb, release } = steps();
		const { call, run } = fakeService(fakeCluster(), [verb, looks]);
		const rolled = run("roll");
		release("done");
		const { id } = (await rolled).body;
		const looked: string[] = [];
		for (let i = 0; i < 40; i++) looked.push((await run("look")).body.id);
		expect((await call("operation", { query: `id=${id}` })).body).toMatchObject({ outcome: "done" });
		// Those have their own bound.
		expect((await call("operation", { query: `id=${looked[0]}` })).status).toBe(404);
		expect((await call("operation", { query: `id=${looked[39]}` })).status).toBe(200);
	});

	it("may return before the end; the events are read later, and stay after it", async () => {
		const { verb, release, context } = steps();
		const { call, run } = fakeService(fakeCluster(), [verb]);
		const started = await run("roll", {}, 0);
		expect(started).toMatchObject({ status: 202, body: { outcome: null, events: [], next: 0 } });
		const { id } = started.body;
		const first = call("operation", { query: `id=${id}&after=0&wait=5000` });
		context().progress("1 of 2", { done: 1 });
		expect((await first).body).toMatchObject({ events: [{ type: "progress", text: "1 of 2", data: { done: 1 } }], next: 1, outcome: null });
		expect((await call("operation", { query: `id=${id}&after=1` })).body.events).toEqual([]);
		const second = call("operation", { query: `id=${id}&after=1&wait=5000` });
		release("done");
		expect((await second).body).toMatchObject({ events: [{ type: "end", outcome: "done" }], outcome: "done" });
		expect((await call("operation", { query: `id=${id}` })).body.events).toHaveLength(2);
	});

	it("keep the latest events of an operation, and say how many are gone", async () => {
		const { verb, release, context } = steps();
		const { call, run } = fakeService(fakeCluster(), [verb]);
		const { id } = (await run("roll", {}, 0)).body;
		for (let step = 0; step < 600; step++) context().progress(`step ${step}`);
		const { body } = await call("operation", { query: `id=${id}&after=10` });
		expect(body).toMatchObject({ skipped: 90, next: 600 });
		expect(body.events).toHaveLength(500);
		expect(body.events[0].text).toBe("step 100");
		release("done");
	});

	it("run one exclusive operation at a time, which `cancel` stops early", async () => {
		const { verb, release, context } = steps();
		const cancel = (await import("../../src/admin/verbs/cancel.ts")).cancel;
		const { run } = fakeService(fakeCluster(), [verb, cancel, looks]);
		expect(await run("cancel")).toMatchObject({ status: 409, body: { events: [{ outcome: "refused" }] } });
		const first = await run("roll", {}, 0);
		const refused = await run("roll");
		expect(refused.status).toBe(409);
		expect(refused.body.error.message).toContain(`"roll" of ann (user 0, pid 9) is in progress (operation ${first.body.id})`);
		expect((await run("look")).status).toBe(200);
		expect(context().signal.aborted).toBe(false);
		expect((await run("cancel")).body.events[0].lines).toEqual(['asked "roll" of ann (user 0, pid 9) to stop']);
		expect(context().signal.aborted).toBe(true);
		release("partly");
		await expect.poll(async () => (await run("cancel")).status).toBe(409);
	});

	it("are bounded: so many operations at once, and so many finished ones that are kept", async () => {
		const releases: (() => void)[] = [];
		const waits = defineVerb({
			...{ name: "wait", summary: "Wait.", arguments: {}, changes: true, workers: ["shard"] as const, example: "wait" },
			run: () => new Promise<object>((resolve) => releases.push(() => resolve({}))),
			describe: () => [],
		});
		const { cancel } = await import("../../src/admin/verbs/cancel.ts");
		const { run, call } = fakeService(fakeCluster(), [waits, looks, cancel]);
		for (let count = 0; count < 16; count++) expect((await run("wait", {}, 0)).status).toBe(202);
		const refused = await run("look");
		expect(refused).toMatchObject({ status: 409, body: { error: { message: expect.stringContaining("16 operations are in progress") } } });
		expect(await run("cancel"), "which runs even so").toMatchObject({ status: 409, body: { events: [{ outcome: "refused" }] } });
		for (const release of releases) release();
		const { id } = (await run("look")).body;
		for (let count = 0; count < 40; count++) await run("look");
		expect((await call("operation", { query: `id=${id}` })).status).toBe(404);
	});

	it("are refused while the cluster stops, but it can still be looked at, and operations in progress are asked to end", async () => {
		let isStopping = false;
		const { verb, release, context } = steps();
		const { run, service } = fakeService(fakeCluster({ isStopping: () => isStopping }), [verb, looks]);
		await run("roll", {}, 0);
		isStopping = true;
		service.stop();
		expect(context().signal.aborted).toBe(true);
		release("partly");
		expect(await run("roll")).toMatchObject({ status: 409, body: { error: { message: "the cluster is stopping" } } });
		expect((await run("look")).status).toBe(200);
	});

	it.each([
		["{", "the body is not JSON"],
		["[]", "the body is not an object"],
		["{}", "verb is missing"],
		['{"verb": 5}', "verb is missing"],
		['{"verb": "look", "arguments": []}', "arguments is not an object"],
		['{"verb": "look", "wait": -1}', "wait is not a number of milliseconds"],
		['{"verb": "look", "wiat": 1}', 'unknown field "wiat"; there is verb, arguments, wait'],
		['{"verb": "look", "arguments": {"x": 1}}', 'look: unknown argument "x"; there are none'],
	])("refuse the body %s with 400", async (body, message) => {
		const { call } = fakeService(fakeCluster(), [looks]);
		expect(await call("run", { body })).toMatchObject({ status: 400, body: { error: { message: expect.stringContaining(message) } } });
	});

	it.each([
		[{}, 'restart: name one shard, as in "restart 1", or give --rolling for all'],
		[{ shard: "1", rolling: true }, "restart: --rolling is for all shards; leave out either it or the shard"],
	])(
		"refuse arguments that do not go together, such as those of restart %j, with 400 and no line for the audit",
		async (given, message) => {
			const { run, audit } = fakeService();
			expect(await run("restart", given)).toMatchObject({ status: 400, body: { error: { message } } });
			expect(audit).toEqual([]);
		},
	);

	it("refuse a value that is nested deeper than the stack with 400", async () => {
		const { verb } = steps();
		const { call } = fakeService(fakeCluster(), [verb]);
		const body = `{"verb": "roll", "arguments": {"how": ${"[".repeat(8000)}${"]".repeat(8000)}}}`;
		expect(await call("run", { body })).toMatchObject({ status: 400, body: { error: { message: "roll: how: … is not one of slowly" } } });
	});

	it("name a verb that this version does not know, and one that is for another kind of cluster", async () => {
		const { run, call } = fakeService();
		const unknown = await run("defragment");
		expect(unknown.status).toBe(404);
		expect(unknown.body.error.message).toContain('(shardcast 1.2.3) does not know "defragment"; it knows status, reload, log-level, kick');
		const gateway = fakeService(fakeCluster({ workers: "gateway", command: "gateway" }));
		expect((await gateway.run("drain", { shard: "1" })).body.error.message).toBe('"drain" does not exist for a gateway');
		expect((await call("operation", { query: "id=nothing" })).status).toBe(404);
		expect((await call("operation", { query: `id=${(await run("status")).body.id}&after=-1` })).status).toBe(400);
	});

	it("describe the verbs for programs and the console", async () => {
		const needs = defineVerb({
			...{ name: "needs", summary: "Needs.", changes: true, workers: ["shard"] as const, example: "needs soft" },
			arguments: { how: required(oneOf(["soft", "hard"]), { help: "How." }) },
			run: () => ({}),
			describe: () => [],
		});
		const { call } = fakeService(fakeCluster(), [needs]);
		expect((await call("verbs")).body).toEqual({
			version: "1.2.3",
			workers: "shard",
			verbs: [
				{
					...{ name: "needs", summary: "Needs.", changes: true, exclusive: false, example: "needs soft" },
					arguments: [{ name: "how", place: "word", placeholder: "<soft|hard>", required: true, help: "How.", choices: ["soft", "hard"] }],
				},
			],
		});
	});
});

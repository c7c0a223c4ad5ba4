import { expect, it, vi } from "vitest";
import type { ShardOperations } from "../../src/admin/verb.ts";
import { OperationAborted, OperationRefused } from "../../src/operations/operation.ts";
import { fakeCluster, fakeService } from "./support.ts";

const drained = { shard: 1, moved: 40, left: 0, lost: 0, tookMs: 1200 };

function setup(changes: Partial<ShardOperations>) {
	const scaling = { wanted: 4, present: 2, followsCpus: true };
	const follow = { start: vi.fn(() => true), byHand: vi.fn((_count: number) => true), scaling };
	const operations = { end: vi.fn(), ...changes } as unknown as ShardOperations;
	return { ...fakeService(fakeCluster({ shards: { operations, follow } })), operations, follow };
}

const endOf = ({ body }: { readonly body: { readonly events: readonly { readonly type: string }[] } }) =>
	body.events.find(({ type }) => type === "end");

it("drain: options, progress and the result for people", async () => {
	const drain = vi.fn(async (_slot: number, options?: Parameters<ShardOperations["drain"]>[1]) => {
		options?.onProgress?.({ operation: "drain", text: "shard 1: 20 clients left", moved: 20, left: 20 });
		return drained;
	});
	const { run } = setup({ drain });
	const answer = await run("drain", { shard: 1, rate: 500, timeout: "10s", force: true });
	expect(answer.status).toBe(200);
	expect(drain.mock.calls[0]).toMatchObject([1, { rate: 500, timeoutMs: 10_000, force: true }]);
	expect(answer.body.events).toMatchObject([
		{ type: "progress", text: "shard 1: 20 clients left", data: { moved: 20, left: 20 } },
		{
			type: "end",
			outcome: "done",
			result: drained,
			lines: ["shard 1 is drained: 40 clients moved, 0 left, 1.2 s", 'it gets no new clients until "shardcast undrain 1"'],
		},
	]);
});

it("drain and undrain of a shard of another machine say what to do instead", async () => {
	const { run } = setup({});
	for (const verb of ["drain", "undrain"]) {
		const answer = await run(verb, { shard: "10.0.0.7:3005" });
		expect(answer.status).toBe(400);
		expect(JSON.stringify(answer.body)).toContain(
			"is no shard of this machine; drain it there, or give it the weight 0 in remote.shards and reload",
		);
	}
});

it("a drain that ends with clients left was done in part", async () => {
	const { run } = setup({ drain: async () => ({ ...drained, left: 3, lost: 2, ended: "its time is over (10s)" }) });
	expect(endOf(await run("drain", { shard: 1 }))).toMatchObject({
		outcome: "partly",
		reason: "3 clients left: its time is over (10s)",
		lines: expect.arrayContaining([
			"shard 1 is drained in part: 40 clients moved, 3 left, 1.2 s",
			"2 clients lost, because its process died meanwhile",
		]),
	});
});

it("a refusal has changed nothing, and an operation that was aborted has failed", async () => {
	const refused = setup({ drain: () => Promise.reject(new OperationRefused("not_found", "there is no shard 7; the shards are 0, 1")) });
	const answer = await refused.run("drain", { shard: 7 });
	expect(answer.status).toBe(409);
	expect(endOf(answer)).toMatchObject({ outcome: "refused", reason: "there is no shard 7; the shards are 0, 1" });
	const aborted = setup({ rollingRestart: () => Promise.reject(new OperationAborted("shard 0 was killed by SIGKILL before it served")) });
	expect(endOf(await aborted.run("restart", { rolling: true }))).toMatchObject({
		outcome: "failed",
		reason: "shard 0 was killed by SIGKILL before it served",
	});
	expect((await fakeService(fakeCluster()).run("rebalance")).status, "a gateway").toBe(409);
});

it("restart: one shard, or all with --rolling, and never both or none", async () => {
	const one = { ...drained, cutOff: 1, from: "1.0.0", to: "2.0.0" };
	const balancer = { restarted: true, from: "1.0.0", to: "2.0.0" };
	const rebalance = { before: { 0: 40, 1: 0 }, after: { 0: 20, 1: 20 }, moved: 20, tookMs: 100 };
	const { run } = setup({
		restart: async () => one,
		rollingRestart: async () => ({ shards: [one], balancer, supervisor: "1.0.0", tookMs: 4200, rebalance }),
		rebalance: async () => rebalance,
	});
	for (const args of [{}, { shard: 1, rolling: true }]) expect((await run("restart", args)).status).toBe(400);
	expect(endOf(await run("restart", { shard: 1 }))).toMatchObject({ lines: ["shard 1: 1.0.0 → 2.0.0, 40 clients moved, 1 cut off"] });
	expect(endOf(await run("restart", { rolling: true }))).toMatchObject({
		lines: [
			"shard 1: 1.0.0 → 2.0.0, 40 clients moved, 1 cut off",
			"balancer: 1.0.0 → 2.0.0",
			"supervisor: keeps 1.0.0; only a stop and a start replace it",
			"20 clients moved to balance the shards",
			"4.2 s",
		],
	});
	expect(endOf(await run("rebalance", { rate: 10 }))).toMatchObject({
		lines: ["20 clients moved, 0.1 s", "shard 0: 40 → 20", "shard 1: 0 → 20"],
	});
});

it("cancel ends it early; undrain does so for a drain of its shard, since it may run at the same time", async () => {
	let ended!: (result: typeof drained & { ended: string }) => void;
	const { run, operations } = setup({
		drain: () =>
			new Promise((resolve) => {
				ended = resolve;
			}),
		undrain: async (shard) => ({ shard, changed: true }),
	});
	expect((await run("drain", { shard: 1 }, 0)).status).toBe(202);
	expect((await run("rebalance")).status, "exclusive").toBe(409);
	expect(endOf(await run("undrain", { shard: 1 }))).toMatchObject({ lines: ["shard 1 takes clients again"] });
	await run("cancel");
	expect(operations.end).toHaveBeenCalledWith("it was cancelled");
	ended({ ...drained, left: 5, ended: "it was cancelled" });
});

it("cancel ends an operation that nobody has ordered, such as a rebalance after a crash", async () => {
	const { run, operations } = setup({ running: { operation: "rebalance", text: "", moved: 0, left: 0, startedAt: 0 } });
	expect(endOf(await run("cancel"))).toMatchObject({ lines: ['asked "rebalance" of the cluster to stop'] });
	expect(operations.end).toHaveBeenCalledWith("it was cancelled");
});

it("status says how long an operation has taken, also in its first second or after the clock was set back", async () => {
	for (const startedAt of [Date.now(), Date.now() + 60_000]) {
		const running = { operation: "drain", text: "", moved: 0, left: 0, startedAt } as const;
		const { lines } = endOf(await setup({ running }).run("status")) as never as { lines: string[] };
		expect(lines).toContainEqual(expect.stringMatching(/^operation: drain, by the cluster, for (less than 1s|[1-9]\d*s)$/));
	}
});

it("status shows an operation that nobody has ordered, and one of a verb once", async () => {
	const running = {
		operation: "rolling restart",
		text: "shard 1: 3 clients left",
		moved: 5,
		left: 3,
		startedAt: Date.now() - 4000,
	} as const;
	const { lines, result } = endOf(await setup({ running }).run("status")) as never as {
		lines: string[];
		result: { operations: object[] };
	};
	expect(lines).toContainEqual(expect.stringMatching(/^operation: rolling restart, by the cluster, for \d+s: shard 1: 3 clients left$/));
	expect(result.operations).toMatchObject([{ id: null, command: "rolling restart", who: "the cluster" }]);
	const verb = setup({ running, rollingRestart: () => new Promise(() => {}) });
	await verb.run("restart", { rolling: true }, 0);
	expect(endOf(await verb.run("status"))).toMatchObject({ result: { operations: [{ id: expect.any(String) }] } });
	const undrain = setup({ running: { ...running, operation: "undrain" }, undrain: () => new Promise(() => {}) });
	await undrain.run("undrain", { shard: 1 }, 0);
	expect(endOf(await undrain.run("status"))).toMatchObject({ result: { operations: [{ command: "undrain 1" }] } });
});

it("a drain that undrain ends before it has begun was done in part", async () => {
	const drain = () => Promise.reject(new OperationAborted("it was ended by undrain", true));
	expect(endOf(await setup({ drain }).run("drain", { shard: 1 }))).toMatchObject({ outcome: "partly", reason: "it was ended by undrain" });
});

it("a restart that is cancelled was done in part, and says what is left", async () => {
	let fail = (_: Error) => {};
	const restart = () => new Promise<never>((_, reject) => (fail = reject));
	const { run, call, operations } = setup({ restart });
	const { id } = (await run("restart", { shard: 1 }, 0)).body;
	await run("cancel");
	expect(operations.end).toHaveBeenCalledWith("it was cancelled");
	fail(new OperationAborted('it was cancelled; shard 1 stays drained until "undrain 1"'));
	expect(endOf(await call("operation", { query: `id=${id}&after=0&wait=5000` }))).toMatchObject({
		outcome: "partly",
		reason: 'it was cancelled; shard 1 stays drained until "undrain 1"',
		lines: [],
	});
});

it("scale: more shards with clients for them, or fewer; what is not done completely is told with the numbers", async () => {
	const up = { before: 2, after: 4, moved: 0, cutOff: 0, tookMs: 2500, rebalance: { before: {}, after: {}, moved: 50, tookMs: 100 } };
	const down = { before: 4, after: 3, moved: 20, cutOff: 2, tookMs: 900, ended: "it was cancelled" };
	const scale = vi.fn(async (count: number, _options?: object) => (count === 4 ? up : down));
	const { run, follow } = setup({ scale });
	follow.byHand.mockReturnValue(false);
	const until = "until the supervisor is restarted, which starts as many as --shards says";
	expect(endOf(await run("scale", { count: 4 }))).toMatchObject({
		outcome: "done",
		lines: ["2 → 4 shards, 2.5 s", "50 clients moved to the new shards", until],
	});
	expect(endOf(await run("scale", { count: "1", rate: 9, timeout: "5s" }))).toMatchObject({
		outcome: "partly",
		reason: "it was cancelled",
		lines: ["4 → 3 shards, 0.9 s", "20 clients moved away from removed shards", "2 cut off", until],
	});
	expect(scale.mock.calls[1]).toMatchObject([1, { rate: 9, timeoutMs: 5000 }]);
	for (const count of [0, 65, "x"]) expect((await run("scale", { count })).status).toBe(400);
});

it("scale: a number that is accepted ends following the CPUs, one that is refused does not, and auto resumes it", async () => {
	const same = { before: 2, after: 2, moved: 0, cutOff: 0, tookMs: 1 };
	const scale = vi.fn(async (_count: number) => same);
	const { run, follow } = setup({ scale });
	const said = 'the number does not follow the CPUs any more, until "shardcast scale auto"';
	expect(endOf(await run("scale", { count: 2 }))).toMatchObject({ outcome: "done", lines: ["there are 2 shards, as before", said] });
	expect(follow.byHand.mock.calls).toEqual([[2]]);
	scale.mockRejectedValueOnce(new OperationRefused("not_possible", "port 3004 is in use"));
	expect(endOf(await run("scale", { count: 5 }))).toMatchObject({ outcome: "refused" });
	expect(follow.byHand).toHaveBeenCalledTimes(1);
	scale.mockRejectedValueOnce(new OperationAborted("shard 2 did not start"));
	expect(endOf(await run("scale", { count: 3 }))).toMatchObject({ outcome: "failed" });
	expect(follow.byHand).toHaveBeenLastCalledWith(3);
	expect(endOf(await run("scale", { count: "auto" }))).toMatchObject({
		outcome: "done",
		result: { changed: true, wanted: 4, present: 2, followsCpus: true },
		lines: [
			"the number of shards follows the CPUs from now on: 4 wanted, 2 present",
			"the cluster is scaled when the number of CPUs has been the same for half a minute",
		],
	});
	expect(scale).toHaveBeenCalledTimes(3);
	expect((await run("scale", { count: "auto", force: true })).status).toBe(400);
	expect(endOf(await run("status"))).toMatchObject({
		result: { scaling: { wanted: 4, present: 2, followsCpus: true } },
		lines: expect.arrayContaining(["! 2 of 4 shards that are wanted; the number follows the CPUs"]),
	});
});

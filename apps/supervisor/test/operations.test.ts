import { type Config, defaultConfig } from "@shardcast/config";
import { waitFor } from "@shardcast/testkit";
import { describe, expect, it, vi } from "vitest";
import type { OperatedShard } from "../src/operations/operated-shard.ts";
import { OperationAborted, type OperationProgress, OperationRefused } from "../src/operations/operation.ts";
import { Operations } from "../src/operations/operations.ts";

const defaults = defaultConfig({});

/** A shard whose clients leave at each look, and go to the others. */
class FakeShard implements OperatedShard {
	readonly slot: number;
	readonly name: string;
	/** Clients, without a look at them. */
	count: number;
	serving = true;
	isDrained = false;
	version: string | null = "1.0.0";
	told = 0;
	lost = 0;
	room = 1000;
	warmProblem: Error | null = null;
	replaceProblem: string | null = null;
	readonly orders: object[] = [];
	readonly steps: string[];
	/** Its process serves, but is no good. */
	takesNone = false;
	/** Clients that do not leave. */
	keeps = 0;
	/** Its process has died and is started again. */
	isRestarting = false;
	/** How often its clients were counted. */
	looks = 0;
	/** Where clients go. */
	others: readonly FakeShard[] = [];
	#offloads = false;

	constructor(slot: number, count: number, steps: string[]) {
		this.slot = slot;
		this.count = count;
		this.name = `shard ${slot}`;
		this.steps = steps;
	}

	get isDown(): boolean {
		return !this.serving && !this.isRestarting;
	}

	get takesClients(): boolean {
		return this.serving && !this.isDrained && !this.takesNone;
	}

	get clients(): number {
		this.looks++;
		if (this.#offloads && this.serving && this.count > this.keeps) {
			this.count--;
			this.told++;
			const to = this.others.find((other) => other !== this && other.takesClients);
			if (to !== undefined) to.count++;
		}
		return this.count;
	}

	async offload(order: { readonly on: boolean }): Promise<void> {
		if (!this.serving) throw new Error(`${this.name} does not serve`);
		this.orders.push(order);
		this.#offloads = order.on;
	}

	async warmUp(): Promise<void> {
		this.steps.push(`${this.name} warms up`);
		if (this.warmProblem !== null) throw this.warmProblem;
	}

	coolDown(): void {}

	async drain(): Promise<{ cutOff: number; finished: boolean }> {
		this.steps.push(`${this.name} is ended, drained: ${this.isDrained}, clients: ${this.count}`);
		this.serving = false;
		return { cutOff: 0, finished: true };
	}

	async replace(): Promise<{ drained: null; problem: string | null }> {
		this.steps.push(`${this.name} is replaced, drained: ${this.isDrained}, clients: ${this.count}`);
		this.count = 0;
		this.#offloads = false;
		this.serving = this.replaceProblem === null;
		this.version = "2.0.0";
		return { drained: null, problem: this.replaceProblem };
	}
}

function setup(clients: readonly number[], options: { mode?: "handoff" | "proxy"; config?: Partial<Config>; unsupported?: string } = {}) {
	const steps: string[] = [];
	const shards = clients.map((count, slot) => new FakeShard(slot, count, steps));
	for (const shard of shards) shard.others = shards;
	const balancer = {
		version: "1.0.0",
		warmUp: async () => void steps.push("balancer warms up"),
		coolDown: () => {},
		replace: async () => {
			steps.push("balancer is replaced");
			balancer.version = "2.0.0";
			return { drained: null, problem: state.balancerProblem };
		},
	};
	const state = {
		isServing: true,
		room: 64,
		portProblem: null as string | null,
		replaceProblem: null as string | null,
		balancerProblem: null as string | null,
		/** A shard that serves, but does not take clients. */
		takesNone: -1,
		isDone: true,
		remoteClients: 0,
		/** How often it was asked whether a shard is done. */
		looks: 0,
	};
	const config = { ...defaults, ...options.config };
	const told: string[] = [];
	const operations = new Operations({
		shards: () => shards,
		remoteClients: () => state.remoteClients,
		shardProblem: async (slot) => state.portProblem && `shard ${slot}: ${state.portProblem}`,
		addShard: () => {
			if (shards.length >= state.room) throw new Error("ENOSPC");
			const shard = new FakeShard(shards.length, 0, steps);
			shard.serving = false;
			shard.isDrained = true;
			shard.takesNone = shard.slot === state.takesNone;
			shard.replaceProblem = shard.slot === 3 ? state.replaceProblem : null;
			shard.others = shards;
			shards.push(shard);
			return shard;
		},
		isDone: () => {
			state.looks++;
			return state.isDone;
		},
		removeShard: () => void steps.push(`${shards.pop()!.name} is removed`),
		balancer,
		mode: options.mode ?? "handoff",
		unsupported: options.unsupported ?? null,
		isServing: () => state.isServing,
		config: () => config,
		onTakers: () => {},
		move: async (bySlot) => {
			let moved = 0;
			for (const [slot, count] of Object.entries(bySlot)) {
				const fewest = shards.toSorted((a, b) => a.count - b.count)[0]!;
				shards[Number(slot)]!.count -= count;
				fewest.count += count;
				moved += count;
			}
			return moved;
		},
		version: "1.0.0",
		lateMs: 100,
		log: { info: vi.fn(), warn: vi.fn(), error: vi.fn() } as never,
		tell: (level, text) => told.push(`${level}: ${text}`),
	});
	return { operations, shards, balancer, steps, state, told };
}

describe("refusals, after which nothing has changed", () => {
	it.each([
		["a shard that does not exist", 7, {}, "not_found", "there is no shard 7; the shards are 0, 1"],
		["no whole rate", 0, { rate: 1.5 }, "invalid", "the rate is 1.5; it must be a whole number of clients per second, from 1"],
		["no time", 0, { timeoutMs: 0 }, "invalid", "the time limit is 0 ms; it must be more than 0"],
	])("%s", async (_, slot, options, code, message) => {
		const { operations, shards } = setup([5, 5]);
		const error = await operations.drain(slot, options).catch((reason: unknown) => reason);
		expect(error).toBeInstanceOf(OperationRefused);
		expect(error).toMatchObject({ code, message });
		expect(shards.some(({ isDrained }) => isDrained)).toBe(false);
	});

	it("waits for a shard that has not reported for a moment", async () => {
		const { operations, shards } = setup([5, 5]);
		shards[1]!.takesNone = true;
		setTimeout(() => {
			shards[1]!.takesNone = false;
		}, 20);
		expect(await operations.drain(0)).toMatchObject({ moved: 5, left: 0 });
	});

	it("waits for a drained shard that starts again", async () => {
		const { operations, shards } = setup([5, 5]);
		await operations.drain(0);
		shards[0]!.serving = false;
		setTimeout(() => {
			shards[0]!.serving = true;
		}, 20);
		expect(await operations.undrain(0)).toEqual({ shard: 0, changed: true });
	});

	it("a shard that stays silent takes nobody: it is refused after a while", async () => {
		const { operations, shards } = setup([5, 5]);
		shards[1]!.takesNone = true;
		await expect(operations.drain(0)).rejects.toThrow("no shard but 0 takes clients now");
		expect(shards.some(({ isDrained }) => isDrained)).toBe(false);
	});

	it("the last shard that takes clients, and more clients than the others may have", async () => {
		const { operations, shards } = setup([5, 5]);
		shards[0]!.room = 0;
		shards[1]!.room = 0;
		shards[1]!.isDrained = true;
		await expect(operations.drain(0)).rejects.toThrow(
			"no shard but 0 takes clients now, so its clients would have nowhere to go; shard 1 is drained: `shardcast undrain 1`",
		);
		await expect(operations.rollingRestart()).rejects.toMatchObject({ code: "not_possible" });
	});

	it("the last shard of this machine, or more clients than its others may have, although remote shards may have room", async () => {
		const remote = { config: { remoteShards: ["10.0.0.7:3005"] } };
		await expect(setup([5], remote).operations.drain(0)).rejects.toThrow(
			"no shard of this machine but 0 takes clients now, and one must: publishing, HTTP streams and the console do not go to remote shards; add a shard with `shardcast scale 2`",
		);
		const { operations, shards } = setup([5, 5], remote);
		shards[0]!.room = 0;
		shards[1]!.room = 0;
		shards[0]!.isDrained = true;
		await expect(operations.drain(0)).rejects.toThrow(
			"the other shards of this machine have room for 0 of the 5 clients of shard 0; raise --max-connections, wait until fewer are connected, or give --force",
		);
	});

	it("a cluster that starts or stops, and one of another kind", async () => {
		const { operations, state } = setup([5, 5]);
		state.isServing = false;
		await expect(operations.rebalance()).rejects.toThrow("the cluster does not serve: it is starting or stopping");
		await expect(setup([1], { unsupported: "this is a gateway" }).operations.drain(0)).rejects.toThrow("this is a gateway");
	});

	it("a second operation, which names the first", async () => {
		const { operations, shards } = setup([5, 5, 5]);
		shards[1]!.keeps = 3;
		const drain = operations.drain(1);
		await waitFor(() => operations.running?.moved === 1, { what: "its first client", deadlineMs: 5000 });
		expect(operations.running).toMatchObject({ operation: "drain", text: "shard 1: 4 clients left" });
		for (const other of [() => operations.drain(0), () => operations.restart(0), () => operations.undrain(0), () => operations.rebalance()])
			await expect(other()).rejects.toMatchObject({
				code: "busy",
				message: "another operation is in progress: drain (shard 1: 4 clients left)",
			});
		operations.end("the cluster stops: SIGTERM");
		expect(await drain).toMatchObject({ ended: "the cluster stops: SIGTERM" });
		expect(operations.running).toBe(null);
	});
});

describe("drain and undrain", () => {
	it("tells of one client that is left, or is too many, as of one", async () => {
		const { operations, shards } = setup([5, 5]);
		shards[0]!.keeps = 1;
		const texts: string[] = [];
		const onProgress = ({ text }: { readonly text: string }) => void texts.push(text);
		await operations.drain(0, { timeoutMs: 1500, onProgress });
		expect(texts.at(-1)).toBe("shard 0: 1 client left");
		await setup([13, 11]).operations.rebalance({ onProgress });
		expect(texts).toContain("1 client too many on the fullest shards");
	});

	it("moves the clients, tells how many were moved and are left, and can be taken back", async () => {
		const { operations, shards } = setup([5, 5]);
		const seen: number[] = [];
		const result = await operations.drain(0, { rate: 77, onProgress: ({ left }) => seen.push(left) });
		expect(result).toMatchObject({ shard: 0, moved: 5, left: 0, lost: 0 });
		expect(result).not.toHaveProperty("ended");
		expect(seen.at(-1)).toBe(0);
		expect(shards[0]!.isDrained).toBe(true);
		expect(await operations.undrain(0)).toEqual({ shard: 0, changed: true });
		expect(shards[0]!.orders).toEqual([
			{ on: true, rate: 77 },
			{ on: false, rate: null },
		]);
		expect(await operations.undrain(0)).toEqual({ shard: 0, changed: false });
	});

	it("undrain ends the drain of its shard", async () => {
		const { operations, shards } = setup([5, 5]);
		shards[0]!.keeps = 3;
		const drain = operations.drain(0);
		await waitFor(() => shards[0]!.orders.length > 0, { what: "the order", deadlineMs: 5000 });
		expect(await operations.undrain(0)).toEqual({ shard: 0, changed: true });
		expect(await drain).toMatchObject({ ended: "it was ended by undrain" });
	});

	it("undrain ends a drain that waits for other shards, too", async () => {
		const { operations, shards } = setup([5, 5]);
		shards[1]!.takesNone = true;
		const drain = operations.drain(0);
		const undrained = operations.undrain(0);
		await expect(drain).rejects.toMatchObject({ message: "it was ended by undrain", isWanted: true });
		expect(await undrained).toEqual({ shard: 0, changed: true });
		expect(shards[0]!.orders).toEqual([]);
	});

	it("undrain of a shard that dies at that moment is done: its next process is not drained", async () => {
		const { operations, shards } = setup([5, 5]);
		await operations.drain(0);
		shards[0]!.offload = async () => {
			shards[0]!.serving = false;
			throw new Error("shard 0 died");
		};
		expect(await operations.undrain(0)).toEqual({ shard: 0, changed: true });
		expect(shards[0]!.isDrained).toBe(false);
	});

	it("undrain asks a shard that does not answer again, and ends when the shard should have been killed", async () => {
		const { operations, shards } = setup([5, 5], { config: { heartbeatTimeoutMs: 100 } });
		await operations.drain(0);
		const asked = vi.spyOn(shards[0]!, "offload").mockRejectedValueOnce(new Error("no answer"));
		expect(await operations.undrain(0)).toEqual({ shard: 0, changed: true });
		expect(asked).toHaveBeenCalledTimes(2);
		await operations.drain(0);
		asked.mockRejectedValue(new Error("no answer"));
		await expect(operations.undrain(0)).rejects.toThrow("shard 0 was not told that it takes clients again: no answer");
	});

	it("at its time limit, clients are left, and the shard stays drained", async () => {
		const { operations, shards } = setup([5, 5]);
		shards[0]!.keeps = 3;
		expect(await operations.drain(0, { timeoutMs: 300 })).toMatchObject({ moved: 2, left: 3, ended: "its time is over (300ms)" });
		expect(shards[0]!.isDrained).toBe(true);
	});

	it("a shard that dies meanwhile is asked again when it is back", async () => {
		const { operations, shards } = setup([5, 5]);
		const [shard] = shards;
		shard!.keeps = 3;
		const drain = operations.drain(0);
		await waitFor(() => shard!.told === 2, { what: "2 clients moved", deadlineMs: 5000 });
		Object.assign(shard!, { serving: false, lost: 3, count: 0, keeps: 0 });
		expect(await drain).toMatchObject({ moved: 2, left: 0, lost: 3 });
		expect(shard!.isDrained, "for its successor").toBe(true);
	});
});

describe("restart", () => {
	it("rolling: one shard after the other without clients, then the balancer", async () => {
		const { operations, steps, told } = setup([5, 5]);
		expect(await operations.rollingRestart()).toMatchObject({
			shards: [
				{ shard: 0, moved: 5, left: 0, from: "1.0.0", to: "2.0.0" },
				{ shard: 1, moved: 10, left: 0, from: "1.0.0", to: "2.0.0" },
			],
			balancer: { restarted: true, from: "1.0.0", to: "2.0.0" },
			supervisor: "1.0.0",
			rebalance: { before: { 0: 10, 1: 0 }, after: { 0: 5, 1: 5 }, moved: 5 },
		});
		expect(steps).toEqual([
			"shard 0 warms up",
			"shard 0 is replaced, drained: true, clients: 0",
			"shard 1 warms up",
			"shard 1 is replaced, drained: true, clients: 0",
			"balancer warms up",
			"balancer is replaced",
		]);
		expect(told).toEqual(["info: rolling restart: done"]);
	});

	it("waits between two shards until the clients of the first are back", async () => {
		const { operations, shards, steps } = setup([5, 0], { config: { rebalanceShards: false } });
		// They are nowhere until they connect again.
		shards[0]!.others = [];
		const told: OperationProgress[] = [];
		const rolling = operations.rollingRestart({ onProgress: (progress) => told.push(progress) });
		await waitFor(() => shards[0]!.takesClients && shards[0]!.version === "2.0.0", { what: "the first shard", deadlineMs: 5000 });
		const { looks } = shards[0]!;
		await waitFor(() => shards[0]!.looks >= looks + 5, { what: "some more looks at it", deadlineMs: 5000 });
		expect(steps).not.toContain("shard 1 warms up");
		const waits = (count: number) => ({
			text: `shard 0: the new process serves; waiting up to 10s until the shards have 98 % of their clients again: ${count} of 5`,
			...{ operation: "rolling restart", moved: 5, left: 0 },
		});
		expect(operations.running).toMatchObject(waits(0));
		shards[0]!.count = 4;
		await waitFor(() => told.at(-1)?.text === waits(4).text, { what: "the new count", deadlineMs: 5000 });
		expect(told.at(-1)).toMatchObject(waits(4));
		shards[0]!.count = 5;
		expect((await rolling).shards).toMatchObject([{ moved: 5 }, { moved: 0 }]);
		expect(steps).toContain("shard 1 warms up");
	});

	it("waits no longer when the clients of the first are on remote shards", async () => {
		const { operations, shards, state } = setup([5, 0], { config: { rebalanceShards: false } });
		shards[0]!.others = [];
		state.remoteClients = 100;
		const rolling = operations.rollingRestart();
		await waitFor(() => operations.running?.text.endsWith(": 100 of 105"), { what: "the wait", deadlineMs: 5000 });
		state.remoteClients = 105;
		const sinceMs = performance.now();
		expect((await rolling).shards).toMatchObject([{ moved: 5 }, { moved: 0 }]);
		expect(performance.now() - sinceMs).toBeLessThan(5000);
	});

	it("counts clients that are lost because a shard dies before its turn, while it is loaded, or after its turn", async () => {
		const { operations, shards } = setup([0, 5, 0], { config: { rebalanceShards: false } });
		const rolling = operations.rollingRestart({
			onProgress: ({ text }) => {
				if (text === "shard 0: starting the new process") shards[1]!.lost += 3;
				if (text === "shard 1: loading the installed version") shards[1]!.lost += 4;
				if (text === "balancer: starting the new process") shards[0]!.lost += 2;
			},
		});
		expect((await rolling).shards).toMatchObject([{ lost: 2 }, { lost: 7 }, { lost: 0 }]);
	});

	it("waits for ten seconds at most for clients that do not come back", async () => {
		let laterMs = 0;
		const now = performance.now.bind(performance);
		vi.spyOn(performance, "now").mockImplementation(() => now() + laterMs);
		const { operations, shards, steps } = setup([5, 0], { config: { rebalanceShards: false } });
		shards[0]!.others = [];
		const rolling = operations.rollingRestart();
		await waitFor(() => shards[0]!.takesClients && shards[0]!.version === "2.0.0", { what: "the first shard", deadlineMs: 5000 });
		laterMs = 5_000;
		const { looks } = shards[0]!;
		await waitFor(() => shards[0]!.looks >= looks + 5, { what: "some more looks at it", deadlineMs: 50_000 });
		expect(steps).not.toContain("shard 1 warms up");
		laterMs = 10_000;
		expect((await rolling).shards).toMatchObject([{ moved: 5 }, { moved: 0 }]);
	});

	it("in proxy mode the balancer stays, and the result says why; --no-rebalance-shards moves nobody afterwards", async () => {
		const { operations, steps } = setup([1, 1], { mode: "proxy", config: { rebalanceShards: false } });
		const result = await operations.rollingRestart();
		expect(result.balancer).toMatchObject({ restarted: false, why: expect.stringMatching(/^in proxy mode it carries the connections/) });
		expect(result).not.toHaveProperty("rebalance");
		expect(steps).not.toContain("balancer is replaced");
	});

	it("rolling, with all shards drained but one: it is refused before any is replaced", async () => {
		const { operations, steps } = setup([5, 5, 5]);
		await operations.drain(0);
		await operations.drain(1);
		await expect(operations.rollingRestart()).rejects.toMatchObject({
			code: "not_possible",
			message: expect.stringContaining("no shard but 2 takes clients now"),
		});
		expect(steps).toEqual([]);
		await operations.undrain(1);
		expect((await operations.rollingRestart()).shards).toHaveLength(3);
	});

	it("a version that cannot be loaded changes nothing", async () => {
		const { operations, shards } = setup([5, 5]);
		shards[0]!.warmProblem = new Error("a new process of shard 0 could not be loaded: it ended with exit status 1");
		const error = await operations.rollingRestart().catch((reason: unknown) => reason);
		expect(error).toBeInstanceOf(OperationAborted);
		expect((error as Error).message).toBe(
			"a new process of shard 0 could not be loaded: it ended with exit status 1; shard 0 runs as before",
		);
		expect([shards[0]!.orders, shards[0]!.isDrained]).toEqual([[], false]);
	});

	it("one that does not start ends it: the other shards run as before, and a later restart brings the shard back", async () => {
		const { operations, shards, steps, told } = setup([5, 5, 5]);
		shards[1]!.replaceProblem = "shard 1 ended with exit status 1 before it served";
		await expect(operations.rollingRestart()).rejects.toThrow(
			/^shard 1 ended with exit status 1 before it served\. The other shards run as before\./,
		);
		expect(steps).not.toContain("shard 2 warms up");
		expect(shards.map(({ isDrained }) => isDrained)).toEqual([false, true, false]);
		expect(told.at(-1)).toMatch(/^bad: rolling restart: shard 1 ended with exit status 1 /);
		await expect(operations.undrain(1)).rejects.toMatchObject({ code: "not_possible" });
		shards[1]!.replaceProblem = null;
		expect(await operations.restart(1)).toMatchObject({ shard: 1, moved: 0 });
		expect(shards[1]!.takesClients).toBe(true);
	});

	it("a shard that was drained before is drained afterwards", async () => {
		const { operations, shards } = setup([5, 5]);
		await operations.drain(0);
		await operations.restart(0);
		expect(shards[0]!.isDrained).toBe(true);
	});

	it("a shard that was drained, has died and is about to start again is drained afterwards", async () => {
		const { operations, shards } = setup([5, 5]);
		await operations.drain(0);
		Object.assign(shards[0]!, { serving: false, isRestarting: true });
		await operations.restart(0);
		expect(shards[0]!.isDrained).toBe(true);
	});

	it("clients that have not left in time are counted as cut off", async () => {
		const { operations, shards } = setup([5, 5]);
		shards[0]!.keeps = 2;
		expect(await operations.restart(0, { timeoutMs: 300 })).toMatchObject({ moved: 3, left: 0, cutOff: 2 });
	});

	it("the other shard dies while the new process is loaded: the clients stay where they are", async () => {
		const { operations, shards } = setup([5, 5]);
		vi.spyOn(shards[0]!, "warmUp").mockImplementationOnce(async () => {
			shards[1]!.serving = false;
		});
		await expect(operations.restart(0)).rejects.toThrow("no shard but 0 takes clients now");
		expect([shards[0]!.orders, shards[0]!.isDrained]).toEqual([[], false]);
	});

	it("a new balancer that dies before it serves gets a second attempt", async () => {
		const { operations, balancer } = setup([5, 5]);
		vi.spyOn(balancer, "replace").mockResolvedValueOnce({ drained: null, problem: "balancer was killed by SIGKILL before it served" });
		expect(await operations.rollingRestart()).toMatchObject({ balancer: { restarted: true } });
		expect(balancer.replace).toHaveBeenCalledTimes(2);
	});

	it("cancelled while a shard is drained: it says that the shard stays so", async () => {
		const { operations, shards } = setup([5, 5]);
		shards[0]!.keeps = 3;
		const restarted = operations.restart(0);
		await waitFor(() => shards[0]!.orders.length > 0, { what: "the order", deadlineMs: 5000 });
		operations.end("it was cancelled");
		await expect(restarted).rejects.toThrow('it was cancelled; shard 0 stays drained until "undrain 0"');
	});

	it("cancelled while the process is replaced: it says that the shard stays drained, or what has gone wrong with a process", async () => {
		const { operations, shards, balancer, state } = setup([5, 5]);
		const whileReplaced = (child: { replace(): Promise<{ drained: null; problem: string | null }> }, end: string) => {
			const replace = child.replace.bind(child);
			vi.spyOn(child, "replace").mockImplementationOnce(() => {
				operations.end(end);
				return replace();
			});
		};
		whileReplaced(shards[0]!, "it was cancelled");
		await expect(operations.restart(0)).rejects.toThrow('it was cancelled; shard 0 stays drained until "undrain 0"');
		expect([shards[0]!.version, shards[0]!.isDrained]).toEqual(["2.0.0", true]);
		await operations.undrain(0);
		whileReplaced(shards[1]!, "it was cancelled");
		shards[1]!.replaceProblem = "shard 1 died";
		await expect(operations.restart(1)).rejects.toThrow(/^shard 1 died\. The other shards run as before/);
		shards[1]!.replaceProblem = null;
		await operations.restart(1);
		whileReplaced(balancer, "it was cancelled");
		state.balancerProblem = "balancer died";
		await expect(operations.rollingRestart()).rejects.toThrow("balancer died; no new client can connect");
	});

	it("when the cluster stops, that is the reason, and not a process that was ended while it was loaded or started", async () => {
		const { operations, shards, balancer, state, told } = setup([5, 5]);
		const stops = () => {
			state.isServing = false;
			operations.end("the cluster stops: SIGTERM");
		};
		const ended = () => {
			stops();
			return Promise.reject(new Error("a new process could not be loaded: it was ended"));
		};
		for (const [child, run] of [
			[shards[0]!, () => operations.rollingRestart()],
			[balancer, () => operations.scale(3)],
		] as const) {
			state.isServing = true;
			vi.spyOn(child, "warmUp").mockImplementationOnce(ended);
			await expect(run()).rejects.toThrow(/^the cluster stops: SIGTERM$/);
		}
		expect(told.at(-1), "wanted, so it is no error").toBe("warn: scale: the cluster stops: SIGTERM");
		state.isServing = true;
		vi.spyOn(FakeShard.prototype, "replace").mockImplementationOnce(async () => {
			stops();
			return { drained: null, problem: "it was ended" };
		});
		expect(await operations.scale(3)).toMatchObject({ before: 2, ended: "the cluster stops: SIGTERM" });
	});

	it("a rebalance that is ended does not wait for its next second", async () => {
		const { operations, shards } = setup([300, 0]);
		const rebalanced = operations.rebalance({ rate: 10 });
		await waitFor(() => shards[1]!.count > 0, { what: "the first clients", deadlineMs: 5000 });
		operations.end("the cluster stops: SIGTERM");
		const { ended, tookMs } = await rebalanced;
		expect(ended).toBe("the cluster stops: SIGTERM");
		expect(tookMs).toBeLessThan(990);
	});

	it("a stop of the cluster ends it before the next step", async () => {
		const { operations, shards, state, steps } = setup([5, 5]);
		shards[0]!.keeps = 3;
		const rolling = operations.rollingRestart();
		await waitFor(() => shards[0]!.orders.length > 0, { what: "the order", deadlineMs: 5000 });
		state.isServing = false;
		operations.end("the cluster stops: SIGTERM");
		await expect(rolling).rejects.toThrow(/^the cluster stops: SIGTERM$/);
		expect(steps).toEqual(["shard 0 warms up"]);
	});
});

describe("scale", () => {
	it("up: the sockets first, then a balancer that has them, then the processes, then clients to them", async () => {
		const { operations, shards, steps } = setup([6, 6]);
		expect(await operations.scale(4)).toMatchObject({
			...{ before: 2, after: 4, moved: 0, cutOff: 0 },
			rebalance: { before: { 0: 6, 1: 6, 2: 0, 3: 0 }, moved: 6 },
		});
		expect(steps).toEqual([
			"balancer warms up",
			"balancer is replaced",
			"shard 2 is replaced, drained: true, clients: 0",
			"shard 3 is replaced, drained: true, clients: 0",
		]);
		expect(shards.map(({ count }) => count)).toEqual([3, 3, 3, 3]);
	});

	it("up in proxy mode: the balancer stays; --no-rebalance-shards moves nobody", async () => {
		const { operations, steps } = setup([6, 6], { mode: "proxy", config: { rebalanceShards: false } });
		expect(await operations.scale(3)).not.toHaveProperty("rebalance");
		expect(steps).toEqual(["shard 2 is replaced, drained: true, clients: 0"]);
	});

	it("down: the last ones, drained, then ended, then removed", async () => {
		const { operations, shards, steps } = setup([5, 5, 5]);
		expect(await operations.scale(1, { rate: 7 })).toMatchObject({ before: 3, after: 1, cutOff: 0 });
		expect(steps).toEqual([
			"shard 2 is ended, drained: true, clients: 0",
			"shard 2 is removed",
			"shard 1 is ended, drained: true, clients: 0",
			"shard 1 is removed",
		]);
		expect(shards.map(({ slot, count }) => [slot, count])).toEqual([[0, 15]]);
	});

	it("down at its time limit: clients that have not left are cut off, and counted", async () => {
		const { operations, shards } = setup([5, 5]);
		shards[1]!.keeps = 2;
		expect(await operations.scale(1, { timeoutMs: 300 })).toMatchObject({ before: 2, after: 1, moved: 3, cutOff: 2 });
	});

	it("down: clients that are lost with a shard that dies on the way are counted", async () => {
		const { operations, shards } = setup([5, 5]);
		const [, shard] = shards;
		shard!.keeps = 2;
		const scaled = operations.scale(1);
		await waitFor(() => shard!.told === 3, { what: "3 clients moved", deadlineMs: 5000 });
		Object.assign(shard!, { serving: false, lost: 2, count: 0 });
		expect(await scaled).toMatchObject({ before: 2, after: 1, moved: 3, cutOff: 2 });
	});

	it("a shard is removed only when nothing of it is on its way", async () => {
		const { operations, state, steps } = setup([5, 5]);
		state.isDone = false;
		const scaled = operations.scale(1);
		await waitFor(() => steps.length > 0, { what: "the end of its process", deadlineMs: 5000 });
		expect(steps).toEqual(["shard 1 is ended, drained: true, clients: 0"]);
		state.isDone = true;
		expect(await scaled).toMatchObject({ after: 1 });
	});

	it("cancelled when the process has ended: what is still on its way arrives all the same", async () => {
		const { operations, shards, state, steps } = setup([5, 5, 5]);
		state.isDone = false;
		const scaled = operations.scale(1);
		await waitFor(() => steps.length > 0, { what: "the end of its process", deadlineMs: 5000 });
		operations.end("it was cancelled");
		const { looks } = state;
		await waitFor(() => state.looks > looks + 2 || shards.length < 3, { what: "further looks", deadlineMs: 5000 });
		expect(shards, "it is not removed yet").toHaveLength(3);
		state.isDone = true;
		expect(await scaled).toMatchObject({ before: 3, after: 2, ended: "it was cancelled" });
	});

	it("refuses what is not possible, and nothing has changed", async () => {
		const { operations, shards, state, steps } = setup([5, 5]);
		for (const count of [0, 1.5, Number.NaN]) await expect(operations.scale(count)).rejects.toMatchObject({ code: "invalid" });
		state.portProblem = "port 3004 is in use";
		await expect(operations.scale(3)).rejects.toMatchObject({ code: "not_possible", message: "shard 2: port 3004 is in use" });
		state.portProblem = null;
		state.room = 3;
		await expect(operations.scale(4)).rejects.toMatchObject({ code: "not_possible", message: /^shared memory has no room for 4 shards/ });
		expect(shards).toHaveLength(2);
		shards[0]!.room = 0;
		shards[0]!.isDrained = true;
		await expect(operations.scale(1)).rejects.toThrow("no shard but 1 takes clients now");
		expect(steps).toEqual(["shard 2 is removed"]);
		expect(await operations.scale(2)).toMatchObject({ before: 2, after: 2 });
	});

	it("a process that does not start: those before it stay, and it says how many there are", async () => {
		const { operations, shards, state } = setup([5, 5]);
		state.replaceProblem = "shard 3 ended with exit status 1 before it served";
		expect(await operations.scale(5)).toMatchObject({
			...{ before: 2, after: 3 },
			ended: "shard 3 ended with exit status 1 before it served; there are 3 shards now",
		});
		expect(shards.map(({ slot }) => slot)).toEqual([0, 1, 2]);
	});

	it("a process that serves and does not take clients: it stays, to be looked at, and those after it are not started", async () => {
		const { operations, shards, state } = setup([5, 5], { config: { readyTimeoutMs: 100 } });
		state.takesNone = 2;
		expect(await operations.scale(4)).toMatchObject({
			...{ before: 2, after: 3 },
			ended: "shard 2 does not take clients; see its log; there are 3 shards now",
		});
		expect(shards.map(({ slot }) => slot)).toEqual([0, 1, 2]);
	});

	it("cancelled while a shard is drained: the shard takes clients again", async () => {
		const { operations, shards } = setup([5, 5, 5]);
		shards[1]!.keeps = 3;
		const scaled = operations.scale(1);
		await waitFor(() => shards.length === 2 && shards[1]!.orders.length > 0, { what: "the second drain", deadlineMs: 5000 });
		operations.end("it was cancelled");
		expect(await scaled).toMatchObject({ before: 3, after: 2, ended: "it was cancelled" });
		expect(shards[1]!.takesClients).toBe(true);
	});
});

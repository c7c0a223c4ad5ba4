import { defaultConfig } from "@shardcast/config";
import { PartAnswers } from "@shardcast/control";
import { ProcessMetrics } from "@shardcast/telemetry";
import { describe, expect, it, vi } from "vitest";
import type { Feature } from "../../src/lifecycle/feature.ts";
import { Features } from "../../src/lifecycle/features.ts";
import { featureContract } from "../contracts/feature-contract.ts";

function setup() {
	const did: string[] = [];
	const errors: { feature?: string }[] = [];
	const parts = new PartAnswers();
	const metrics = new ProcessMetrics("shard-0", 0);
	const run = (features: readonly Feature[]) =>
		new Features(features, { parts, metrics, log: { error: (fields: { feature?: string }) => errors.push(fields) } as never });
	const noting = (name: string, more: Partial<Feature> = {}): Feature => ({
		name,
		start: () => void did.push(`${name} starts`),
		serving: () => void did.push(`${name} serves`),
		reload: () => {
			did.push(`${name} prepares`);
			return () => void did.push(`${name} reloads`);
		},
		drain: () => void did.push(`${name} drains`),
		stop: () => void did.push(`${name} stops`),
		...more,
	});
	return { did, errors, parts, metrics, run, noting };
}

const never = () => new Promise<void>(() => {});

describe("the features of a shard", () => {
	it("start, serve, reload and drain in order, and stop in reverse order", async () => {
		const { did, run, noting, errors } = setup();
		const features = run([noting("one"), { name: "quiet" }, noting("two")]);
		await features.start();
		features.serving();
		features.reload(defaultConfig())();
		features.everySecond();
		expect(await features.drain(1000)).toEqual({});
		await features.stop();
		const twice = (what: string) => [`one ${what}`, `two ${what}`];
		expect(did).toEqual([...["starts", "serves", "prepares", "reloads", "drains"].flatMap(twice), "two stops", "one stops"]);
		expect(errors).toEqual([]);
	});

	it("start concurrently, and none serves before all have started", async () => {
		const { did, run, noting } = setup();
		let go = () => {};
		const slow = noting("slow", { start: () => new Promise((resolve) => (go = resolve)) });
		const features = run([slow, noting("fast")]);
		const started = features.start().then(() => did.push("started"));
		expect(did).toEqual(["fast starts"]);
		go();
		await started;
		expect(did).toEqual(["fast starts", "started"]);
	});

	it("fail to start together when one of them cannot start", async () => {
		const { run, noting } = setup();
		const broken = noting("broken", { start: () => Promise.reject(new Error("no port")) });
		await expect(run([noting("one"), broken]).start()).rejects.toThrow("no port");
		const throws = noting("throws", {
			start: () => {
				throw new Error("no file");
			},
		});
		await expect(run([throws]).start()).rejects.toThrow("no file");
	});

	it("get new options all or none: when one refuses, neither those before it nor those after it change", () => {
		const { did, run, noting } = setup();
		const refuses = noting("refuses", {
			reload: () => {
				throw new Error("no descriptor");
			},
		});
		const features = run([noting("one"), refuses, noting("two")]);
		expect(() => features.reload(defaultConfig())).toThrow("no descriptor");
		expect(did).toEqual(["one prepares"]);
	});

	it("register their questions before anything starts", async () => {
		const { run, parts } = setup();
		const question = { name: "how many", asks: "shards", deadlineMs: 1, check: () => 0 } as const;
		run([{ name: "one", answers: (to) => to.add(question, () => 7) }]);
		expect(await parts.answer("how many", null)).toBe(7);
	});

	it("add their metrics when all have started", async () => {
		const { run, metrics } = setup();
		let started = false;
		const sample = (value: boolean) => [{ labels: {}, value: Number(value) }];
		const read = [{ name: "shardcast_started", type: "gauge", unit: "none", help: "Whether it has started.", labels: [], sample }] as const;
		const start = async () => {
			started = true;
		};
		await run([{ name: "measured", start, measures: (to) => to.addReading(read, () => started) }]).start();
		const values = await metrics.values();
		expect(values.find(({ name }) => name === "shardcast_started")?.values[0]).toMatchObject({ value: 1, labels: { shard: "0" } });
	});

	it("drain one after the other, each with a share of the remaining time: a quarter, or what it asks for", async () => {
		const { run, noting } = setup();
		const left: number[] = [];
		const slowly = async (ms: number) => {
			left.push(ms);
			await new Promise((resolve) => setTimeout(resolve, 40));
		};
		const drain = (ms: number) => void left.push(ms);
		const slow = noting("slow", { drain: (ms) => slowly(ms) });
		await run([noting("first", { drain }), slow, noting("third", { drain }), noting("last", { drain, drainShare: 1 })]).drain(2000);
		expect(left.length).toBe(4);
		expect(left[0]).toBeGreaterThan(490);
		expect(left[0]).toBeLessThanOrEqual(500);
		expect(left[2]).toBeLessThanOrEqual(left[1]! - 38);
		expect(left[3]! - left[2]!).toBeGreaterThan(1400);
		expect(left[3]).toBeLessThanOrEqual(2000);
	});

	it("that hang or fail do not prevent the others from draining and stopping; the log names them", async () => {
		vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
		try {
			const { did, run, noting, errors } = setup();
			const hangs = noting("hangs", { drain: never, stop: never });
			const fails = noting("fails", { drain: () => Promise.reject(new Error("x")), stop: () => Promise.reject(new Error("y")) });
			const features = run([noting("one"), hangs, fails, noting("two")]);
			const drained = features.drain(1000);
			await vi.advanceTimersByTimeAsync(2000);
			expect(await drained).toEqual({});
			expect(did).toEqual(["one drains", "two drains"]);
			expect(errors.map(({ feature }) => feature)).toEqual(["hangs", "fails"]);
			did.length = 0;
			const stopped = features.stop();
			await vi.advanceTimersByTimeAsync(10_000);
			await stopped;
			expect(did).toEqual(["two stops", "one stops"]);
			expect(errors.map(({ feature }) => feature)).toEqual(["hangs", "fails", "fails", "hangs"]);
		} finally {
			vi.useRealTimers();
		}
	});

	it("say at the end of the drain what was cut off, without what happened after its deadline", async () => {
		const { run, noting } = setup();
		let late = 3;
		const features = run([
			noting("late", { unfinished: () => late }),
			noting("kept", { unfinished: () => 2 }),
			noting("then", {
				drain: () => {
					late = 0;
				},
			}),
		]);
		expect(await features.drain(100)).toEqual({ kept: 2 });
	});
});

describe("a feature without optional methods", () => {
	featureContract(() => ({ feature: { name: "quiet" }, work: null, held: () => 0, isOpen: null, runs: null }));
});

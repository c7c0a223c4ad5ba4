import { defaultConfig } from "@shardcast/config";
import { describe, expect, it } from "vitest";
import { guardRule } from "../src/guard-rules.ts";

const config = defaultConfig();

describe("the rules of the guards", () => {
	it("come from the options, with a margin", () => {
		expect(guardRule("cpu", config)).toEqual({ enter: 75, leave: 70, enterAfterMs: 0, leaveAfterMs: 10_000 });
		expect(guardRule("ingest_cpu", config)).toMatchObject({ enter: 80, leave: 75 });
		expect(guardRule("memory", config)).toEqual({ enter: 90, leave: 85, enterAfterMs: 3000, leaveAfterMs: 10_000 });
		expect(guardRule("ingest_memory", config)).toMatchObject({ enter: 95 });
		expect(guardRule("loop_lag", config)).toEqual({ enter: 1000, leave: 500, enterAfterMs: 5000, leaveAfterMs: 10_000 });
		expect(guardRule("shared_memory", config)).toMatchObject({ enter: 95 });
		expect(guardRule("memory", { ...config, guardMemory: 4, guardHoldMs: 1000 }), "a low threshold can be left as well").toMatchObject({
			leave: 2,
			leaveAfterMs: 1000,
		});
	});

	it("descriptors: so many must be free, or an eighth of a low limit", () => {
		expect(guardRule("descriptors", config, 20_000)).toEqual({ enter: 19_936, leave: 19_904, enterAfterMs: 0, leaveAfterMs: 10_000 });
		expect(guardRule("descriptors", config, 256)).toMatchObject({ enter: 224, leave: 208 });
		expect(guardRule("descriptors", config, 0), "no limit").toBeNull();
	});

	it("a shard that has as many clients as its open files allow is not short of descriptors", () => {
		for (const limit of [1024, 4096, 20_000, 1_048_576]) {
			const ofClients = limit - 200;
			const others = 60 + 64;
			expect(guardRule("descriptors", config, limit)!.leave).toBeGreaterThan(ofClients + others - 64);
			expect(guardRule("descriptors", config, limit)!.enter).toBeGreaterThan(ofClients + others);
		}
	});

	it.each([
		["cpu", "guardCpu"],
		["ingest_cpu", "guardIngestCpu"],
		["memory", "guardMemory"],
		["ingest_memory", "guardIngestMemory"],
		["loop_lag", "guardLoopLagMs"],
		["descriptors", "guardDescriptors"],
		["shared_memory", "guardSharedMemory"],
	] as const)("%s is off at 0", (name, key) => {
		expect(guardRule(name, config, 20_000)).not.toBeNull();
		expect(guardRule(name, { ...config, [key]: 0 }, 20_000)).toBeNull();
	});
});

import { defaultConfig } from "@shardcast/config";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { balancerSpec, type ClusterFacts } from "../src/children/child-specs.ts";
import { RestartPolicy } from "../src/children/restart-policy.ts";

const config = { restartBackoffMinMs: 100, restartBackoffMaxMs: 1000, crashLimit: 5, crashWindowMs: 30_000 };
/** The longest pauses that can be drawn. */
const longest = () => 1;
const served = 1;

describe("back-off", () => {
	it("doubles with each death up to the longest pause", () => {
		const policy = new RestartPolicy(() => ({ ...config, crashLimit: 1000 }), longest);
		const pauses = Array.from({ length: 6 }, (_, death) => policy.died(death, served));
		expect(pauses.map((verdict) => verdict.kind === "restart" && verdict.afterMs)).toEqual([100, 200, 400, 800, 1000, 1000]);
	});

	it("draws half of each pause, so that children that died together come back apart", () => {
		const shortest = new RestartPolicy(
			() => config,
			() => 0,
		).died(0, served);
		const some = new RestartPolicy(() => config).died(0, served);
		expect(shortest).toEqual({ kind: "restart", afterMs: 50 });
		expect(some.kind === "restart" && some.afterMs).toBeGreaterThanOrEqual(50);
		expect(some.kind === "restart" && some.afterMs).toBeLessThan(100);
	});

	it("starts again for a child that had lived for a whole window", () => {
		const policy = new RestartPolicy(() => config, longest);
		policy.died(0, served);
		policy.died(1000, served);
		expect(policy.died(40_000, 30_000)).toEqual({ kind: "restart", afterMs: 100 });
	});
});

describe("crash loop", () => {
	it("is one death more than the limit within the window", () => {
		const policy = new RestartPolicy(() => config, longest);
		for (let death = 0; death < 5; death++) expect(policy.died(death * 1000, served).kind).toBe("restart");
		expect(policy.died(5000, served)).toEqual({ kind: "giveUp", deaths: 6, withinMs: 30_000 });
	});

	it("is none when the deaths are spread out", () => {
		const policy = new RestartPolicy(() => config, longest);
		for (let death = 0; death < 100; death++) expect(policy.died(death * 6001, served).kind).toBe("restart");
	});

	it("is also a child that never becomes ready, however long each try takes", () => {
		const policy = new RestartPolicy(() => config, longest);
		for (let start = 0; start < 5; start++) expect(policy.died(start * 60_000, null).kind).toBe("restart");
		expect(policy.died(300_000, null)).toEqual({ kind: "giveUp", deaths: 6, withinMs: null });
	});

	it("forgets failed starts once the child has served", () => {
		const policy = new RestartPolicy(() => config, longest);
		for (let start = 0; start < 5; start++) policy.died(start * 60_000, null);
		policy.died(300_000, served);
		expect(policy.died(360_000, null).kind).toBe("restart");
	});
});

it("never waits longer than the longest pause nor shorter than half of the shortest, whatever happens", () => {
	const death = fc.record({ afterMs: fc.nat(100_000), servedMs: fc.option(fc.nat(100_000)) });
	fc.assert(
		fc.property(fc.array(death), (deaths) => {
			const policy = new RestartPolicy(() => config);
			let nowMs = 0;
			for (const { afterMs, servedMs } of deaths) {
				nowMs += afterMs;
				const verdict = policy.died(nowMs, servedMs);
				if (verdict.kind === "giveUp") expect(verdict.deaths).toBeGreaterThan(config.crashLimit);
				else expect(verdict.afterMs >= 50 && verdict.afterMs <= 1000).toBe(true);
			}
		}),
	);
});

it("the options of a child are read again at each start and each death", () => {
	const facts = { config: defaultConfig(), pin: () => ({ kind: "none" }) } as unknown as ClusterFacts;
	const { timeouts, policy } = balancerSpec(facts, {} as never);
	facts.config = {
		...facts.config,
		readyTimeoutMs: 7,
		heartbeatTimeoutMs: 8,
		crashLimit: 1,
		restartBackoffMinMs: 40,
		restartBackoffMaxMs: 50,
	};
	expect(timeouts()).toMatchObject({ readyTimeoutMs: 7, heartbeatTimeoutMs: 8 });
	const { kind, afterMs } = policy.died(0, served) as { kind: string; afterMs: number };
	expect([kind, afterMs >= 20 && afterMs <= 40]).toEqual(["restart", true]);
	facts.config = { ...facts.config, crashLimit: 2, restartBackoffMinMs: 5000 };
	expect(policy.died(1, served)).toMatchObject({ kind: "restart", afterMs: expect.closeTo(37.5, -2) });
	facts.config = { ...facts.config, crashWindowMs: 1 };
	expect(policy.died(10, served), "the others are no longer within the window").toMatchObject({ kind: "restart" });
	facts.config = { ...facts.config, crashLimit: 0 };
	expect(policy.died(20, served)).toEqual({ kind: "giveUp", deaths: 1, withinMs: 1 });
});

import { describe, expect, it } from "vitest";
import { TraceSampler, traceContextOf } from "../../src/index.ts";

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
const parent = (flags: string) => traceContextOf(`00-${traceId}-00f067aa0ba902b7-${flags}`, "a=1")!;

describe("sampling", () => {
	it("follows the parent, whatever the share, and continues its trace with its own span", () => {
		const none = new TraceSampler(() => 0);
		expect(none.sample(parent("01"))).toMatchObject({ traceId, isSampled: true, state: "a=1" });
		expect(none.sample(parent("01"))?.spanId).not.toBe("00f067aa0ba902b7");
		expect(new TraceSampler(() => 1).sample(parent("00"))).toBeNull();
	});

	it("takes a share of the traces that begin here", () => {
		const numbers = [0.09, 0.1, 0.11];
		const sampler = new TraceSampler(
			() => 0.1,
			() => 0,
			() => numbers.shift()!,
		);
		expect([0, 1, 2].map(() => sampler.sample(null) !== null)).toEqual([true, false, false]);
	});

	it("takes at most 1,000 traces in a second, also if every publisher wants to be traced, and counts the others", () => {
		let nowMs = 5000;
		const sampler = new TraceSampler(
			() => 0,
			() => nowMs,
		);
		const taken = () => Array.from({ length: 1500 }, () => sampler.sample(parent("01"))).filter((context) => context !== null).length;
		expect(taken()).toBe(1000);
		expect(sampler.limited).toBe(500);
		nowMs = 6000;
		expect(taken()).toBe(1000);
	});
});

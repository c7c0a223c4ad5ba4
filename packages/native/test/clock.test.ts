import { expect, it } from "vitest";
import { clockState } from "../src/index.ts";

it("the kernel says whether the clock is synchronised, or nothing", () => {
	const state = clockState();
	if (state === null) return;
	expect(typeof state.isSynchronised).toBe("boolean");
	expect(state.errorMsMax).toBeGreaterThanOrEqual(0);
	// The kernel counts up to 16 s and stays there.
	expect(state.errorMsMax).toBeLessThanOrEqual(16_000_000);
});

import { describe, expect, it } from "vitest";
import { Source } from "../../src/routing/source.ts";

describe("a connection as a source", () => {
	it("waits while any client holds it, and is resumed once, when the last lets go", () => {
		let resumed = 0;
		const source = new Source({ resume: () => void resumed++ });
		expect(source.mayTake()).toBe(true);
		source.hold();
		source.hold();
		expect([source.mayTake(), source.mayTake(), source.pauses]).toEqual([false, false, 1]);
		source.release();
		expect([source.mayTake(), resumed]).toEqual([false, 0]);
		source.release();
		expect([source.mayTake(), resumed]).toEqual([true, 1]);
	});

	it("is not resumed if it brought nothing meanwhile", () => {
		let resumed = 0;
		const source = new Source({ resume: () => void resumed++ });
		source.hold();
		source.release();
		expect([source.mayTake(), resumed, source.pauses]).toEqual([true, 0, 0]);
	});
});

import { describe, expect, it } from "vitest";
import ClosingLineReporter from "../src/closing-line-reporter.ts";

const test = (fullName: string, state: string, retryCount = 0) => ({
	fullName,
	project: { name: "cluster" },
	module: { relativeModuleId: "apps/x.cluster.test.ts" },
	result: () => ({ state }),
	diagnostic: () => (state === "skipped" ? undefined : { retryCount }),
});
const moduleOf = (...tests: ReturnType<typeof test>[]) => ({ children: { allTests: () => tests }, errors: () => [] as unknown[] });

async function closing(...modules: ReturnType<typeof moduleOf>[]): Promise<string> {
	let text = "";
	new ClosingLineReporter((piece: string) => {
		text += piece;
	}).onTestRunEnd(modules, []);
	await new Promise(setImmediate);
	return text;
}

describe("the closing line", () => {
	it("counts what passed, failed and was skipped; a file that does not load is a failure", async () => {
		const broken = { children: { allTests: () => [] }, errors: () => [new Error("it does not load")] };
		expect(await closing(moduleOf(test("a", "passed"), test("b", "failed"), test("c", "skipped")), broken)).toBe(
			"\n1 passed, 2 failed, 1 skipped\n",
		);
	});

	it("names each test that needed a retry, whether it passed in the end or not", async () => {
		expect(await closing(moduleOf(test("d > slow", "passed", 1), test("d > quick", "passed")), moduleOf(test("e", "failed", 1)))).toBe(
			[
				"",
				"needed a retry: apps/x.cluster.test.ts > d > slow (passed then)",
				"needed a retry: apps/x.cluster.test.ts > e (failed again)",
				"2 passed, 1 failed, 0 skipped",
				"",
			].join("\n"),
		);
	});
});

import { describe, expect, it } from "vitest";
import ClosingLineReporter from "../src/closing-line-reporter.ts";

const relativeModuleId = "apps/x.cluster.test.ts";
const test = (fullName: string, state: string, errors: readonly string[] = [], tags: readonly string[] = []) => ({
	fullName,
	tags,
	result: () => ({ state, errors: errors.map((message) => ({ message })) }),
});
const moduleOf = (...tests: ReturnType<typeof test>[]) => ({
	relativeModuleId,
	children: { allTests: () => tests, allSuites: () => [] as { errors(): Error[] }[] },
	errors: () => [] as Error[],
});

async function closing(
	modules: readonly ReturnType<typeof moduleOf>[],
	unhandled: readonly Error[] = [],
	tagsFilter?: readonly string[],
): Promise<string> {
	let text = "";
	const reporter = new ClosingLineReporter((piece: string) => {
		text += piece;
	});
	reporter.onInit({ config: { root: "/work", tagsFilter } });
	reporter.onTestRunEnd(modules, unhandled);
	await new Promise(setImmediate);
	return text;
}

describe("the closing line", () => {
	it("counts what passed, failed and was skipped; what does not load, or cannot be set up, is a failure, and so is an error outside of tests", async () => {
		const broken = { ...moduleOf(), errors: () => [new Error("it does not load")] };
		const hook = [{ errors: () => [new Error("beforeAll")] }];
		const unprepared = { ...moduleOf(), children: { allTests: () => [test("d", "skipped")], allSuites: () => hook } };
		const passedAndOthers = moduleOf(test("a", "passed"), test("b", "failed", ["no\n  b"]), test("c", "skipped"));
		expect(await closing([passedAndOthers, broken, unprepared], [new Error("nobody waited")])).toBe(
			[
				"",
				"failed: outside of any test: nobody waited",
				"failed: apps/x.cluster.test.ts > b: no b",
				"failed: apps/x.cluster.test.ts: it does not load",
				"failed: apps/x.cluster.test.ts: beforeAll",
				"1 passed, 4 failed, 2 skipped",
				"",
			].join("\n"),
		);
	});

	it("tells each error outside of tests in a separate line, with the file that ran when it came, if that is known", async () => {
		const errors = [
			Object.assign(new Error("late"), { VITEST_TEST_PATH: "/work/apps/a.test.ts" }),
			Object.assign(new Error("later"), { VITEST_TEST_PATH: "/work/apps/b.process.test.ts" }),
			new Error("of nobody"),
		];
		expect(await closing([], errors)).toBe(
			[
				"",
				"failed: apps/a.test.ts: outside of any test: late",
				"failed: apps/b.process.test.ts: outside of any test: later",
				"failed: outside of any test: of nobody",
				"0 passed, 3 failed, 0 skipped",
				"",
			].join("\n"),
		);
	});

	it("tells what a filter has left out, and counts as skipped only what was not left out", async () => {
		const modules = [moduleOf(test("a", "passed"), test("b", "skipped", [], ["long"]), test("c", "skipped"))];
		expect(await closing(modules, [], ["!long"])).toBe(
			'\nleft out: 1 with the tag "long"; SHARDCAST_LONG_TESTS=1 npm test runs all\n1 passed, 0 failed, 1 skipped\n',
		);
		expect(await closing(modules, [], ["long"])).toBe(
			'\nleft out: 1 without the tag "long"; SHARDCAST_LONG_TESTS=1 npm test runs all\n1 passed, 0 failed, 1 skipped\n',
		);
		expect(await closing(modules)).toBe("\n1 passed, 0 failed, 2 skipped\n");
	});

	it("keeps a reason to one line of bounded length", async () => {
		expect(await closing([moduleOf(test("e", "failed", ["late", "x".repeat(1000)]))])).toBe(
			`\nfailed: apps/x.cluster.test.ts > e: late | ${"x".repeat(593)}…\n0 passed, 1 failed, 0 skipped\n`,
		);
	});
});

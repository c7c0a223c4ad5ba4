/**
 * A Vitest reporter that ends the run with one plain line, `N passed, N failed, N skipped`, which people and CI systems
 * read without knowing the runner. Used by vitest.config.ts beside the default reporter.
 */
interface FinishedTest {
	result(): { state: string };
}
interface FinishedModule {
	readonly children: { allTests(): Iterable<FinishedTest> };
	errors(): readonly unknown[];
}

export default class ClosingLineReporter {
	onTestRunEnd(modules: readonly FinishedModule[], unhandledErrors: readonly unknown[]): void {
		const count = { passed: 0, failed: unhandledErrors.length, skipped: 0 };
		for (const module of modules) {
			// A file that does not load has no tests to count, but it is a failure.
			count.failed += module.errors().length;
			for (const test of module.children.allTests()) {
				const { state } = test.result();
				if (state === "passed" || state === "failed") count[state]++;
				else count.skipped++;
			}
		}
		// After the default reporter's own summary, which is written in the same event.
		setImmediate(() => process.stdout.write(`\n${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped\n`));
	}
}

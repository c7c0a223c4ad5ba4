/**
 * A Vitest reporter that ends the run with one plain line, `N passed, N failed, N skipped`, which people and CI systems
 * read without knowing the runner. Before it, a line for each test that needed a retry: such a test is to be looked at, though
 * the run is green. Used by vitest.config.ts beside the default reporter.
 */
interface FinishedTest {
	readonly fullName: string;
	readonly module: { readonly relativeModuleId: string };
	result(): { readonly state: string };
	/** Undefined for a test that did not run. */
	diagnostic(): { readonly retryCount: number } | undefined;
}
interface FinishedModule {
	readonly children: { allTests(): Iterable<FinishedTest> };
	errors(): readonly unknown[];
}

export default class ClosingLineReporter {
	readonly #write: (text: string) => unknown;

	constructor(write?: ((text: string) => void) | object) {
		// Vitest itself gives options, of which there are none.
		this.#write = typeof write === "function" ? (write as (text: string) => void) : (text) => process.stdout.write(text);
	}

	onTestRunEnd(modules: readonly FinishedModule[], unhandledErrors: readonly unknown[]): void {
		const count = { passed: 0, failed: unhandledErrors.length, skipped: 0 };
		const retried: string[] = [];
		for (const module of modules) {
			// A file that does not load has no tests to count, but it is a failure.
			count.failed += module.errors().length;
			for (const test of module.children.allTests()) {
				const { state } = test.result();
				if (state === "passed" || state === "failed") count[state]++;
				else count.skipped++;
				if ((test.diagnostic()?.retryCount ?? 0) > 0)
					retried.push(
						`needed a retry: ${test.module.relativeModuleId} > ${test.fullName} (${state === "passed" ? "passed then" : "failed again"})`,
					);
			}
		}
		const lines = [...retried, `${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`];
		// After the default reporter's own summary, which is written in the same event.
		setImmediate(() => this.#write(`\n${lines.join("\n")}\n`));
	}
}

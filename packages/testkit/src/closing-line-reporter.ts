import { relative } from "node:path";

/**
 * A Vitest reporter that ends the run with one plain line, `N passed, N failed, N skipped`, which people and CI systems
 * read without knowing the runner. Before it, a line with the reason for each test that failed, so that the end of a long log says
 * what is wrong. Tests that `npm test` leaves out are none of the three but have a separate line. Used by vitest.config.ts beside the
 * default reporter; .ci/run reads these lines.
 */
interface TestError {
	readonly message?: string;
	/** Vitest tells it of an error outside of tests: the whole path of the file that ran then. */
	readonly VITEST_TEST_PATH?: unknown;
}
interface FinishedTest {
	readonly fullName: string;
	readonly tags: readonly string[];
	result(): { readonly state: string; readonly errors?: readonly TestError[] | undefined };
}
/** A file, or a `describe` in it. */
interface Suite {
	errors(): readonly TestError[];
}
interface FinishedModule extends Suite {
	readonly relativeModuleId: string;
	readonly children: { allTests(): Iterable<FinishedTest>; allSuites(): Iterable<Suite> };
}

const reasonMax = 600;

/** What went wrong, in one line. */
function reason(errors: readonly TestError[] = []): string {
	const text = errors.map(({ message }) => message ?? "no message").join(" | ");
	const line = text.replace(/\s+/g, " ");
	return line.length > reasonMax ? `${line.slice(0, reasonMax)}…` : line;
}

export default class ClosingLineReporter {
	readonly #write: (text: string) => unknown;
	/** Which tests the filter takes: those with the tag, those without, or both (null). */
	#takesLong: boolean | null = null;
	#root = "";

	constructor(write?: ((text: string) => void) | object) {
		// Vitest itself gives options, of which there are none.
		this.#write = typeof write === "function" ? (write as (text: string) => void) : (text) => process.stdout.write(text);
	}

	onInit({ config }: { readonly config: { readonly root: string; readonly tagsFilter?: readonly string[] | undefined } }): void {
		const { tagsFilter = [] } = config;
		this.#takesLong = tagsFilter.includes("!long") ? false : tagsFilter.includes("long") ? true : null;
		this.#root = config.root;
	}

	onTestRunEnd(modules: readonly FinishedModule[], unhandledErrors: readonly TestError[]): void {
		const count = { passed: 0, failed: unhandledErrors.length, skipped: 0 };
		const lines: string[] = [];
		let leftOut = 0;
		for (const error of unhandledErrors) lines.push(`failed: ${this.#fileOf(error)}outside of any test: ${reason([error])}`);
		for (const module of modules) {
			// What does not load, or cannot be set up, has no tests that ran: it counts as one failure.
			for (const suite of [module, ...module.children.allSuites()]) {
				const errors = suite.errors();
				if (errors.length === 0) continue;
				count.failed++;
				lines.push(`failed: ${module.relativeModuleId}: ${reason(errors)}`);
			}
			for (const test of module.children.allTests()) {
				const { state, errors } = test.result();
				if (state === "passed" || state === "failed") count[state]++;
				else if (this.#takesLong !== null && this.#takesLong !== test.tags.includes("long")) leftOut++;
				else count.skipped++;
				if (state === "failed") lines.push(`failed: ${module.relativeModuleId} > ${test.fullName}: ${reason(errors)}`);
			}
		}
		const which = this.#takesLong === true ? "without" : "with";
		if (leftOut > 0) lines.push(`left out: ${leftOut} ${which} the tag "long"; SHARDCAST_LONG_TESTS=1 npm test runs all`);
		lines.push(`${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`);
		// After the default reporter's own summary, which is written in the same event.
		setImmediate(() => this.#write(`\n${lines.join("\n")}\n`));
	}

	/** As other lines name it; "" = Vitest does not know. */
	#fileOf({ VITEST_TEST_PATH: path }: TestError): string {
		return typeof path === "string" && path !== "" ? `${relative(this.#root, path)}: ` : "";
	}
}

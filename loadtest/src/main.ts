import { writeFileSync } from "node:fs";
import { emptyResult, runLoadTest } from "./load-test.ts";
import { type LoadTestOptions, parseOptions, UsageError } from "./options.ts";
import { ProgressView } from "./report/progress-view.ts";
import { renderResult } from "./report/render.ts";

/** 0 = passed, 1 = something was lost, doubled, out of order or refused, 2 = wrong command line, 130 = interrupted. */
async function main(argv: readonly string[]): Promise<number> {
	let options: LoadTestOptions;
	try {
		options = parseOptions(argv);
	} catch (error) {
		if (!(error instanceof UsageError)) throw error;
		(error.exitStatus === 0 ? console.log : console.error)(error.message);
		return error.exitStatus;
	}
	const interruption = new AbortController();
	for (const signal of ["SIGINT", "SIGTERM"] as const) {
		process.on(signal, () => {
			if (interruption.signal.aborted) process.exit(130);
			interruption.abort();
		});
	}
	const result = emptyResult(options);
	try {
		await runLoadTest(options, new ProgressView(process.stderr), result, interruption.signal);
	} catch (error) {
		result.problems.push((error as Error).message);
	}
	console.log(`\n${renderResult(result)}`);
	if (options.jsonPath !== null) writeFileSync(options.jsonPath, `${JSON.stringify(result, null, "\t")}\n`);
	if (result.problems.length > 0) return 1;
	return result.interrupted === undefined ? 0 : 130;
}

// Whoever stops reading the progress still wants to know how it ends.
process.stderr.on("error", () => {});
process.exitCode = await main(process.argv.slice(2));

import { emptyResult, runLoadTest } from "./load-test.ts";
import { mergeCommand } from "./merge/merge-command.ts";
import { type LoadTestOptions, parseOptions, UsageError } from "./options.ts";
import { exitStatusOf } from "./report/exit-status.ts";
import { checkOutputs, writeOutputs } from "./report/outputs.ts";
import { ProgressView } from "./report/progress-view.ts";
import { renderResult } from "./report/render.ts";

async function main(argv: readonly string[]): Promise<number> {
	try {
		return argv[0] === "merge" ? mergeCommand(argv.slice(1)) : await loadTest(parseOptions(argv));
	} catch (error) {
		if (!(error instanceof UsageError)) throw error;
		(error.exitStatus === 0 ? console.log : console.error)(error.message);
		return error.exitStatus;
	}
}

async function loadTest(options: LoadTestOptions): Promise<number> {
	checkOutputs(options);
	const interruption = new AbortController();
	for (const signal of ["SIGINT", "SIGTERM"] as const) {
		process.on(signal, () => {
			if (interruption.signal.aborted) process.exit(130);
			console.error("\ninterrupted: the report of what was measured follows; once more ends at once");
			interruption.abort();
		});
	}
	for (const { name, isLocal } of options.targets)
		if (!isLocal) console.error(`warning: ${name} is not this machine: whoever runs it and the network there gets this load`);
	const result = emptyResult(options);
	try {
		await runLoadTest(options, new ProgressView(process.stderr), result, interruption.signal);
	} catch (error) {
		result.problems.push((error as Error).message);
	}
	console.log(`\n${renderResult(result)}`);
	writeOutputs(result, options);
	return exitStatusOf(result);
}

// Whoever stops reading the progress still wants to know how it ends.
process.stderr.on("error", () => {});
process.exitCode = await main(process.argv.slice(2));

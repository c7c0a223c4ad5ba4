import { writeFileSync } from "node:fs";
import { faultKinds } from "./kinds/kinds.ts";
import { type FaultOptions, parseFaultOptions, UsageError } from "./options.ts";
import { hasFailed, renderReport } from "./report.ts";
import { interruption } from "./rig/interruption.ts";
import { runWithPrivateMemory } from "./rig/private-memory.ts";
import { runFaults } from "./run.ts";

/** 0 = nothing wrong, 1 = something was, 2 = wrong command line, 130 = interrupted. */
async function main(argv: readonly string[]): Promise<number> {
	let options: FaultOptions;
	try {
		options = parseFaultOptions(argv, faultKinds, Math.floor(Math.random() * 2 ** 31));
	} catch (error) {
		if (!(error instanceof UsageError)) throw error;
		(error.exitStatus === 0 ? console.log : console.error)(error.message);
		return error.exitStatus;
	}
	if (options.isList) {
		for (const { name, help, isShort } of faultKinds) console.log(`${name.padEnd(18)}${isShort ? "short " : "      "}${help}`);
		return 0;
	}
	const status = await runWithPrivateMemory();
	if (status !== null) return status;
	const signal = interruption();
	console.log(`seed ${options.seed}: repeat with --seed ${options.seed}`);
	const report = await runFaults(options, (line) => console.log(line), signal);
	console.log(`\n${renderReport(report)}`);
	if (options.jsonPath !== null) writeFileSync(options.jsonPath, `${JSON.stringify(report, null, "\t")}\n`);
	if (hasFailed(report)) return 1;
	return report.interrupted ? 130 : 0;
}

// Whoever stops reading the progress still wants the cluster to be stopped.
process.stdout.on("error", () => {});
process.exitCode = await main(process.argv.slice(2));

import { writeFileSync } from "node:fs";
import { table } from "../../report/table.ts";
import { UsageError } from "../options.ts";
import { hasFailed } from "../report.ts";
import { interruption } from "../rig/interruption.ts";
import { parseSoakOptions, type SoakOptions } from "./options.ts";
import { runSoak, type SoakReport } from "./run.ts";

function render(report: SoakReport): string {
	const figure = (name: string, value: number) => (name.endsWith("memory") ? `${(value / 1e6).toFixed(1)} MB` : String(value));
	const rows = report.growths.map(({ name, start, end, growth, isTooMuch }) => [
		name,
		figure(name, start),
		figure(name, end),
		`${(100 * growth).toFixed(1)} %${isTooMuch ? " !" : ""}`,
	]);
	const wrong = Object.entries(report.wrong).flatMap(([name, count]) => (count === 0 ? [] : [`${count} ${name}`]));
	return [
		table(["what", "after the warm-up", "at the end", "growth"], rows),
		`${report.opened} clients came, ${report.failed} failed${wrong.length === 0 ? "; the others lost nothing" : `; ${wrong.join(", ")}`}`,
		...report.examples,
		...report.problems.map((problem) => `problem: ${problem}`),
	].join("\n");
}

/** 0 = nothing grew and nothing was lost, 1 = something did or was, 2 = wrong command line, 130 = interrupted. */
async function main(argv: readonly string[]): Promise<number> {
	let options: SoakOptions;
	try {
		options = parseSoakOptions(argv);
	} catch (error) {
		if (!(error instanceof UsageError)) throw error;
		(error.exitStatus === 0 ? console.log : console.error)(error.message);
		return error.exitStatus;
	}
	const signal = interruption();
	const report = await runSoak(options, (text) => console.log(text), signal);
	console.log(`\n${render(report)}`);
	if (options.jsonPath !== null) writeFileSync(options.jsonPath, `${JSON.stringify(report, null, "\t")}\n`);
	if (hasFailed(report) || report.failed > 0 || report.growths.some(({ isTooMuch }) => isTooMuch)) return 1;
	return report.interrupted ? 130 : 0;
}

// Whoever stops reading the progress still wants the cluster to be stopped.
process.stdout.on("error", () => {});
process.exitCode = await main(process.argv.slice(2));

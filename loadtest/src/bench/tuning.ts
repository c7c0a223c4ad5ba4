import { benchProgram } from "./support/subject.ts";
import { flagSections } from "./tuning/flag-sections.ts";
import { parseTuningOptions, type TuningOptions } from "./tuning/options.ts";
import { variantTable } from "./tuning/variant-table.ts";

/**
 * The measured figures of docs/how-to/tuning.md about flags: `npm run bench:tuning -- [section …] [--rounds n]`, all sections when none is
 * named, each of two to four minutes.
 */
function options(): TuningOptions<keyof typeof flagSections> {
	const list = Object.entries(flagSections).map(([name, { help }]) => `  ${name.padEnd(14)}${help}`);
	const usage = `usage: npm run bench:tuning -- [section …] [--rounds n]\n${list.join("\n")}`;
	try {
		const options = parseTuningOptions(process.argv.slice(2), Object.keys(flagSections) as (keyof typeof flagSections)[]);
		if (!options.help) return options;
		console.log(usage);
		process.exit(0);
	} catch (error) {
		console.error(`bench: ${(error as Error).message}\n${usage}`);
		process.exit(2);
	}
}

const { names, rounds } = options();
await benchProgram(async () => {
	for (const name of names) {
		const section = flagSections[name];
		console.log(`\n${variantTable(await section.run(rounds ?? section.rounds))}\n`);
	}
});

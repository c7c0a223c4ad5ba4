import { benchProgram } from "./subject.ts";
import { flagSections } from "./tuning/flag-sections.ts";
import { kernelSections } from "./tuning/kernel-sections.ts";
import { isInOwnNamespace, runInNamespace } from "./tuning/namespace.ts";
import { parseTuningOptions, type TuningOptions } from "./tuning/options.ts";
import type { Section } from "./tuning/section.ts";
import { variantTable } from "./tuning/variant-table.ts";

/**
 * Every measured figure of docs/tuning.md: `npm run bench:tuning -- [section …] [--rounds n]`, all sections when none is named,
 * each of two to four minutes. Sections about the kernel need root: they change settings, in a network namespace of their own.
 */
const sections: Readonly<Record<string, Section>> = { ...flagSections, ...kernelSections };

function options(): TuningOptions<string> {
	const list = Object.entries(sections).map(([name, { help, isolated }]) => `  ${name.padEnd(14)}${help}${isolated ? " (root)" : ""}`);
	const usage = `usage: npm run bench:tuning -- [section …] [--rounds n]\n${list.join("\n")}`;
	try {
		const options = parseTuningOptions(process.argv.slice(2), Object.keys(sections));
		if (!options.help) return options;
		console.log(usage);
		process.exit(0);
	} catch (error) {
		console.error(`bench: ${(error as Error).message}\n${usage}`);
		process.exit(2);
	}
}

const { names, named, rounds } = options();
const isRoot = process.getuid?.() === 0;
await benchProgram(async () => {
	for (const name of names) {
		const section = sections[name]!;
		if (section.isolated && !isRoot && !named) {
			console.log(`${name}: left out, its network namespace needs root\n`);
			continue;
		}
		if (section.isolated && !isInOwnNamespace()) {
			const status = await runInNamespace([import.meta.filename, name, ...(rounds === null ? [] : ["--rounds", String(rounds)])]);
			if (status !== 0) throw new Error(`${name} ended with exit status ${status}; its network namespace needs root`);
			continue;
		}
		const result = await section.run(rounds ?? section.rounds);
		console.log(`\n${variantTable(result)}\n`);
	}
});

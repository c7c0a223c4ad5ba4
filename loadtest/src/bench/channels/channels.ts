import { parseArgs } from "node:util";
import { benchProgram } from "../support/subject.ts";
import { commands } from "./commands.ts";
import { fanOut } from "./fan-out.ts";
import { latency } from "./latency.ts";
import { memory } from "./memory.ts";
import type { Part } from "./part.ts";
import { publications } from "./publications.ts";

/** What channels and the Centrifuge protocol cost: `npm run bench:channels -- [--fanout] [--commands] … [--rounds n]`, all parts when none is named. */
const parts = { fanout: fanOut, publications, commands, memory, latency } as const satisfies Readonly<Record<string, Part>>;
type PartName = keyof typeof parts;
const names = Object.keys(parts) as PartName[];

function options(): { readonly chosen: readonly PartName[]; readonly rounds: number | null } {
	const list = names.map((name) => `  --${name.padEnd(14)}${parts[name].help}`);
	const usage = `usage: npm run bench:channels -- [part …] [--rounds n]; all parts take four minutes\n${list.join("\n")}`;
	try {
		const { values } = parseArgs({
			args: process.argv.slice(2),
			options: {
				...Object.fromEntries(names.map((name) => [name, { type: "boolean" as const }])),
				rounds: { type: "string" },
				help: { type: "boolean", short: "h" },
			},
		});
		const given = values as Partial<Record<PartName | "help", boolean>> & { readonly rounds?: string };
		if (given.help) {
			console.log(usage);
			process.exit(0);
		}
		const rounds = given.rounds === undefined ? null : Number(given.rounds);
		if (rounds !== null && (!Number.isInteger(rounds) || rounds < 1 || rounds > 1000))
			throw new RangeError(`--rounds ${given.rounds}: give a whole number from 1 to 1000`);
		const chosen = names.filter((name) => given[name]);
		return { chosen: chosen.length > 0 ? chosen : names, rounds };
	} catch (error) {
		console.error(`bench: ${(error as Error).message}\n${usage}`);
		process.exit(2);
	}
}

const { chosen, rounds } = options();
await benchProgram(async () => {
	for (const name of chosen) {
		await parts[name].run(rounds ?? parts[name].rounds);
		console.log("");
	}
});

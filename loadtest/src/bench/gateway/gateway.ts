import { parseArgs } from "node:util";
import { benchProgram } from "../support/subject.ts";
import { compare } from "./compare.ts";
import { frames } from "./frames.ts";
import { load } from "./load.ts";
import type { Part, PartOptions } from "./part.ts";

/**
 * What the gateway costs, and how long CONTROL takes while VIDEO uses all it has: `npm run bench:gateway -- [--frames] [--load] [--compare] …`, all parts when
 * none is named. Clients, backends and the gateway share the machine, on 127.0.0.1.
 */
const parts = { frames, load, compare } as const satisfies Readonly<Record<string, Part>>;
type PartName = keyof typeof parts;
const names = Object.keys(parts) as PartName[];
const numbers = {
	rounds: { usual: null, least: 1, most: 1000, help: "rounds of each part" },
	clients: { usual: 1_000, least: 1, most: 10_000, help: "WebSocket clients" },
	// With a tenth of that, one CONTROL frame is sent per second.
	rate: { usual: 100_000, least: 100, most: 1_000_000, help: "messages per second of the load that is to get through" },
} as const;
const usualRounds = names.map((name) => `${name} ${parts[name].rounds}`).join(", ");
type NumberName = keyof typeof numbers;

function options(): Omit<PartOptions, "rounds"> & { readonly chosen: readonly PartName[]; readonly rounds: number | null } {
	const usage = [
		"usage: npm run bench:gateway -- [part …] [--clients n] [--rate n] [--rounds n]; all parts take less than six minutes",
		...names.map((name) => `  --${name.padEnd(14)}${parts[name].help}`),
		...Object.entries(numbers).map(([name, { usual, help }]) => `  --${`${name} n`.padEnd(14)}${help} (${usual ?? usualRounds})`),
	].join("\n");
	try {
		const { values } = parseArgs({
			args: process.argv.slice(2),
			options: {
				...Object.fromEntries(names.map((name) => [name, { type: "boolean" as const }])),
				...Object.fromEntries(Object.keys(numbers).map((name) => [name, { type: "string" as const }])),
				help: { type: "boolean", short: "h" },
			},
		});
		const given = values as Partial<Record<PartName | "help", boolean> & Record<NumberName, string>>;
		if (given.help) {
			console.log(usage);
			process.exit(0);
		}
		const whole = (name: NumberName): number | null => {
			const { usual, least, most } = numbers[name];
			if (given[name] === undefined) return usual;
			const value = Number(given[name]);
			if (!Number.isInteger(value) || value < least || value > most)
				throw new RangeError(`--${name} ${given[name]}: give a whole number from ${least} to ${most}`);
			return value;
		};
		const chosen = names.filter((name) => given[name]);
		return {
			chosen: chosen.length > 0 ? chosen : names,
			rounds: whole("rounds"),
			clients: whole("clients")!,
			rate: whole("rate")!,
		};
	} catch (error) {
		console.error(`bench: ${(error as Error).message}\n${usage}`);
		process.exit(2);
	}
}

const { chosen, rounds, ...others } = options();
await benchProgram(async () => {
	for (const name of chosen) {
		await parts[name].run({ rounds: rounds ?? parts[name].rounds, ...others });
		console.log("");
	}
});

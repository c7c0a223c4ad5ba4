import { parseArgs } from "node:util";

export interface TuningOptions<Name extends string> {
	readonly names: readonly Name[];
	/** Null = as many as each section says. */
	readonly rounds: number | null;
	/** Only the list of sections was asked for. */
	readonly help: boolean;
}

/** @throws Error with one line for the user. */
export function parseTuningOptions<Name extends string>(argv: readonly string[], known: readonly Name[]): TuningOptions<Name> {
	const { values, positionals } = parseArgs({
		args: [...argv],
		allowPositionals: true,
		options: { rounds: { type: "string" }, help: { type: "boolean", short: "h", default: false } },
	});
	const rounds = values.rounds === undefined ? null : Number(values.rounds);
	if (rounds !== null && (!Number.isInteger(rounds) || rounds < 1 || rounds > 1000))
		throw new RangeError(`--rounds ${values.rounds}: give a whole number from 1 to 1000`);
	const unknown = positionals.find((name) => !(known as readonly string[]).includes(name));
	if (unknown !== undefined) throw new RangeError(`${unknown} is none of ${known.join(", ")}`);
	const names = positionals.length > 0 ? known.filter((name) => positionals.includes(name)) : known;
	return { names, rounds, help: values.help };
}

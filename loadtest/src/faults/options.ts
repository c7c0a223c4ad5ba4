import { Command, CommanderError, InvalidArgumentError } from "commander";
import type { FaultKind } from "./fault.ts";

export interface FaultOptions {
	/** Null = the short run: one of each kind that is over soon. */
	readonly minutes: number | null;
	readonly seed: number;
	readonly kinds: readonly FaultKind[];
	readonly isList: boolean;
	readonly jsonPath: string | null;
}

/** A command line that can not be run: `message` is for the user, 0 is for --help. */
export class UsageError extends Error {
	readonly exitStatus: 0 | 2;

	constructor(message: string, exitStatus: 0 | 2 = 2) {
		super(message);
		this.name = "UsageError";
		this.exitStatus = exitStatus;
	}
}

const seedMax = 2 ** 31 - 1;
const minutesMax = 24 * 60;

export function numberWithin(least: number, most: number, isWhole = false): (text: string) => number {
	return (text) => {
		const value = Number(text);
		if (text.trim() === "" || !(value >= least && value <= most) || (isWhole && !Number.isInteger(value)))
			throw new InvalidArgumentError(`Give a ${isWhole ? "whole " : ""}number from ${least} to ${most}.`);
		return value;
	};
}

/** @throws UsageError */
export function parseFaultOptions(argv: readonly string[], all: readonly FaultKind[], drawnSeed: number): FaultOptions {
	const kindsFrom = (text: string): FaultKind[] =>
		text.split(",").map((name) => {
			const kind = all.find((each) => each.name === name.trim());
			if (kind === undefined) throw new InvalidArgumentError(`There is no fault ${name.trim()}; --list shows all.`);
			return kind;
		});
	const parsed = parse(
		new Command("npm run test:faults --")
			.description(
				"Faults at a separate cluster while clients count what they get. Ends with a table, and with exit status 1 if something was lost, duplicated, reordered or leaked.",
			)
			.option(
				"--minutes <n>",
				"Faults for so long, of all kinds. Without it: one of each kind that is over soon.",
				numberWithin(0.1, minutesMax),
			)
			.option("--seed <n>", "The seed that another run printed: the same faults in the same order.", numberWithin(0, seedMax, true))
			.option("--only <kinds>", "Only these kinds, separated by commas.", kindsFrom)
			.option("--list", "Show all kinds of faults and end.")
			.option("--json <path>", "Write the result to this file as well."),
		argv,
	);
	const { minutes, seed, only, list, json } = parsed as {
		minutes?: number;
		seed?: number;
		only?: FaultKind[];
		list?: boolean;
		json?: string;
	};
	return {
		minutes: minutes ?? null,
		seed: seed ?? drawnSeed,
		kinds: only ?? (minutes === undefined ? all.filter(({ isShort }) => isShort) : all),
		isList: list === true,
		jsonPath: json ?? null,
	};
}

/** @throws UsageError */
export function parse(command: Command, argv: readonly string[]): object {
	let written = "";
	const write = (text: string) => {
		written += text;
	};
	command.configureOutput({ writeOut: write, writeErr: write }).exitOverride().allowExcessArguments(false);
	try {
		return command.parse(argv, { from: "user" }).opts();
	} catch (error) {
		if (!(error instanceof CommanderError)) throw error;
		throw new UsageError(written.trim() || error.message, error.exitCode === 0 ? 0 : 2);
	}
}

import { formatDuration, parseDuration } from "@shardcast/config";
import { plainJson } from "./plain-json.ts";

/** How an argument is given on a command line: as a word, or as a flag. */
type Place = "word" | "flag";

/** One argument of a verb. The command line gives texts, JSON also numbers and flags. */
export interface ArgumentKind<T> {
	readonly place: Place;
	/** Completes "--block <duration>" or "<user>"; null = the flag has no value. */
	readonly placeholder: string | null;
	readonly isRequired: boolean;
	readonly help: string;
	/** All values that it can have; absent = too many to list. */
	readonly choices?: readonly string[];
	/** @param given is not undefined. @throws RangeError that completes the sentence `"<value>" …`. */
	parse(given: unknown): T;
}

/** The arguments of a verb, by name: lower case, with dashes, as on the command line. Words come in this order. */
export type ArgumentTable = Readonly<Record<string, ArgumentKind<unknown>>>;

/** The values that a verb gets. An argument that is not required and not given is undefined. */
export type ArgumentsOf<Table extends ArgumentTable> = {
	readonly [Name in keyof Table]: Table[Name] extends ArgumentKind<infer T> ? T : never;
};

/** An argument is missing, unknown or wrong. The message names it, and what would be right. */
export class ArgumentError extends Error {}

interface Shown {
	readonly help: string;
	/** Absent = "flag" for what is optional, "word" for what is required. */
	readonly place?: Place;
}

type Kind<T> = Omit<ArgumentKind<T>, keyof Shown | "isRequired" | "place">;

/** Must be given. */
export function required<T>(kind: Kind<T>, { help, place = "word" }: Shown): ArgumentKind<T> {
	return { ...kind, help, place, isRequired: true };
}

export function optional<T>(kind: Kind<T>, { help, place = "flag" }: Shown): ArgumentKind<T | undefined> {
	return { ...kind, help, place, isRequired: false };
}

/** A flag without a value: it is given or not. */
export function toggle(help: string): ArgumentKind<boolean | undefined> {
	return {
		place: "flag",
		placeholder: null,
		isRequired: false,
		help,
		parse(given) {
			if (given === true || given === "true") return true;
			if (given === false || given === "false") return false;
			throw new RangeError("is neither true nor false");
		},
	};
}

/** One of a few words. */
export function oneOf<const Choice extends string>(choices: readonly Choice[]): Kind<Choice> {
	return {
		placeholder: `<${choices.join("|")}>`,
		choices,
		parse(given) {
			const choice = choices.find((each) => each === given);
			if (choice === undefined) throw new RangeError(`is not one of ${choices.join(", ")}`);
			return choice;
		},
	};
}

export function text(placeholder: string, { bytesMax }: { readonly bytesMax: number }): Kind<string> {
	return {
		placeholder,
		parse(given) {
			if (typeof given !== "string" || given === "" || Buffer.byteLength(given) > bytesMax)
				throw new RangeError(`is not a text of 1 to ${bytesMax} bytes`);
			return given;
		},
	};
}

export function integer(placeholder: string, { min, max }: { readonly min: number; readonly max: number }): Kind<number> {
	return {
		placeholder,
		parse(given) {
			const number = typeof given === "string" && /^\d{1,15}$/.test(given) ? Number(given) : given;
			if (typeof number !== "number" || !Number.isInteger(number) || number < min || number > max)
				throw new RangeError(`is not a whole number from ${min} to ${max}`);
			return number;
		},
	};
}

/** In milliseconds. JSON gives it as text, too, such as "10m". */
export function duration({ minMs, maxMs }: { readonly minMs: number; readonly maxMs: number }): Kind<number> {
	return {
		placeholder: "<duration>",
		parse(given) {
			if (typeof given !== "string") throw new RangeError('is not a duration, such as "10m"');
			const ms = parseDuration(given);
			if (ms < minMs || ms > maxMs) throw new RangeError(`is not between ${formatDuration(minMs)} and ${formatDuration(maxMs)}`);
			return ms;
		},
	};
}

const shownMax = 60;

/** @param given by name, as JSON. @throws ArgumentError that names the first wrong argument. */
export function parseArguments<Table extends ArgumentTable>(table: Table, given: Readonly<Record<string, unknown>>): ArgumentsOf<Table> {
	const unknown = Object.keys(given).find((name) => !Object.hasOwn(table, name));
	if (unknown !== undefined) {
		const names = Object.keys(table);
		const all = names.length === 0 ? "there are none" : `there is ${names.join(", ")}`;
		throw new ArgumentError(`unknown argument "${unknown.slice(0, shownMax)}"; ${all}`);
	}
	const values: Record<string, unknown> = {};
	for (const [name, kind] of Object.entries(table)) {
		// An object of JSON may have a field of any name, also of those that every object inherits.
		const value = Object.hasOwn(given, name) ? given[name] : undefined;
		if (value === undefined || value === null) {
			if (kind.isRequired) throw new ArgumentError(`${name} is missing${kind.choices === undefined ? "" : `: ${kind.choices.join(", ")}`}`);
			values[name] = undefined;
			continue;
		}
		try {
			values[name] = kind.parse(value);
		} catch (error) {
			if (!(error instanceof RangeError)) throw error;
			throw new ArgumentError(`${name}: ${shown(value)} ${error.message}`);
		}
	}
	return values as ArgumentsOf<Table>;
}

function shown(value: unknown): string {
	const json = plainJson(value);
	return json.length > shownMax ? `${json.slice(0, shownMax)}…` : json;
}

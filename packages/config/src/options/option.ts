import { formatCpuList, parseCpuList } from "@shardcast/process";
import { z } from "zod";
import { parseAddress } from "../units/address.ts";
import { formatBytes, parseBytes } from "../units/bytes.ts";
import { formatDuration, parseDuration } from "../units/duration.ts";

export type ServingCommand = "multi" | "single";

/**
 * One setting. The same schema reads it from a flag, from the environment (text) and from the file (text, number, boolean or
 * list); its messages complete the sentence `<source>: "<value>" …`.
 */
export interface Option<T> {
	/** Without the dashes. The environment variable and the file's key are spelt from it. */
	readonly flag: string;
	/** What `--help` shows as the flag's argument; null for a switch, which takes none. */
	readonly argument: string | null;
	readonly default: T;
	/** One sentence, which says what zero means where zero is special. */
	readonly help: string;
	readonly schema: z.ZodType<T>;
	/** The value as a user would write it, on the command line or in the file. */
	readonly show: (value: T) => string;
	/** Never printed. */
	readonly secret: boolean;
	/** A new value takes effect while a process runs (SIGHUP, `control.reload`); any other is fixed by then in a socket, a ring or a port. */
	readonly live: boolean;
	/** The commands that use it. */
	readonly commands: readonly ServingCommand[];
}

interface Common<T> {
	readonly flag: string;
	readonly default: T;
	readonly help: string;
	readonly commands?: readonly ServingCommand[];
	readonly live?: boolean;
}

const everywhere: readonly ServingCommand[] = ["multi", "single"];

function option<T>(common: Common<T>, rest: Pick<Option<T>, "argument" | "schema" | "show"> & { secret?: boolean }): Option<T> {
	return { secret: false, live: false, commands: everywhere, ...common, ...rest };
}

const scalar = z.union([z.string(), z.number()], { error: "is neither text nor a number" }).transform(String);

/** A schema from a parser that throws RangeError with the rest of the sentence. */
function parsedBy<T>(parse: (text: string) => T): z.ZodType<T> {
	return scalar.transform((text, context): T => {
		try {
			return parse(text);
		} catch (error) {
			if (!(error instanceof RangeError)) throw error;
			context.addIssue({ code: "custom", message: error.message });
			return z.NEVER;
		}
	}) as unknown as z.ZodType<T>;
}

export function integer(common: Common<number> & { min: number; max: number }): Option<number> {
	const { min, max } = common;
	return option(common, {
		argument: "<n>",
		show: String,
		schema: parsedBy((text) => {
			const number = /^-?\d+$/.test(text.trim()) ? Number(text) : Number.NaN;
			if (!(number >= min && number <= max)) throw new RangeError(`is not a whole number from ${min} to ${max}`);
			return number;
		}),
	});
}

/** In milliseconds. `zero: true` lets 0 through below `minMs`, for "off". */
export function duration(common: Common<number> & { minMs: number; maxMs: number; zero?: boolean }): Option<number> {
	const { minMs, maxMs, zero } = common;
	return option(common, {
		argument: "<duration>",
		show: formatDuration,
		schema: parsedBy((text) => {
			const ms = parseDuration(text);
			if (ms === 0 && zero) return 0;
			if (ms < minMs || ms > maxMs)
				throw new RangeError(`is not ${zero ? "0 or " : ""}between ${formatDuration(minMs)} and ${formatDuration(maxMs)}`);
			return ms;
		}),
	});
}

export function size(common: Common<number> & { minBytes: number; maxBytes: number }): Option<number> {
	const { minBytes, maxBytes } = common;
	return option(common, {
		argument: "<size>",
		show: formatBytes,
		schema: parsedBy((text) => {
			const bytes = parseBytes(text);
			if (bytes < minBytes || bytes > maxBytes)
				throw new RangeError(`is not between ${formatBytes(minBytes)} and ${formatBytes(maxBytes)}`);
			return bytes;
		}),
	});
}

/** Kept as text, checked here; whoever listens calls `parseAddress`. */
export function address(common: Common<string>): Option<string> {
	return option(common, {
		argument: "<host:port>",
		show: String,
		schema: parsedBy((text) => {
			parseAddress(text);
			return text.trim();
		}),
	});
}

export function choice<const C extends readonly string[]>(common: Common<C[number]> & { choices: C }): Option<C[number]> {
	const { choices } = common;
	return option(common, {
		argument: `<${choices.join("|")}>`,
		show: String,
		schema: parsedBy((text): C[number] => {
			if (!choices.includes(text)) throw new RangeError(`is not one of ${choices.join(", ")}`);
			return text;
		}),
	});
}

export function text(common: Common<string> & { argument: string; matches: RegExp; expected: string }): Option<string> {
	const { argument, matches, expected } = common;
	return option(common, {
		argument,
		show: String,
		schema: parsedBy((value) => {
			if (!matches.test(value)) throw new RangeError(`is not ${expected}`);
			return value;
		}),
	});
}

/** Text that a parser understands; it throws RangeError with the rest of the sentence. Kept as text: whoever uses it parses it. */
export function checkedText(common: Common<string> & { argument: string; check: (value: string) => unknown }): Option<string> {
	const { argument, check } = common;
	return option(common, {
		argument,
		show: String,
		schema: listOr(
			parsedBy((value) => {
				check(value);
				return value;
			}),
		),
	});
}

export function secret(common: Common<string | undefined> & { argument: string; charactersMin: number }): Option<string | undefined> {
	const { argument, charactersMin } = common;
	return option<string | undefined>(common, {
		argument,
		secret: true,
		show: (value) => (value === undefined ? "not set" : "set (hidden)"),
		schema: parsedBy<string | undefined>((value) => {
			if (value.length < charactersMin || /\s/.test(value))
				throw new RangeError(`must have at least ${charactersMin} characters and no white space`);
			return value;
		}),
	});
}

/** A YAML list says the same as its items with commas between them. */
function listOr<T>(schema: z.ZodType<T>): z.ZodType<T> {
	return z.preprocess((value) => (Array.isArray(value) ? value.join(",") : value), schema);
}

/** "a,b" or a YAML list. @param common.item reads one item; it throws RangeError with the rest of the sentence. */
export function list(common: Common<readonly string[]> & { argument: string; item?: (text: string) => string }): Option<readonly string[]> {
	const { argument, item = String } = common;
	const split = (value: string) => value.split(",").map((each) => each.trim());
	return option(common, {
		argument,
		show: (values) => values.join(",") || "[]",
		schema: listOr(
			parsedBy((value) =>
				split(value)
					.filter((each) => each !== "")
					.map((each) => item(each)),
			),
		),
	});
}

export function cpuList(common: Common<readonly number[]>): Option<readonly number[]> {
	return option(common, {
		argument: "<list>",
		show: (cpus) => formatCpuList(cpus) || "[]",
		schema: listOr(parsedBy(parseCpuList)),
	});
}

export function toggle(common: Common<boolean>): Option<boolean> {
	return option(common, {
		argument: null,
		show: String,
		schema: z.union([z.boolean(), z.enum(["true", "false", "1", "0"]).transform((word) => word === "true" || word === "1")], {
			error: "is neither true nor false",
		}) as unknown as z.ZodType<boolean>,
	});
}

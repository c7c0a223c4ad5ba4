import { formatCpuList, parseCpuList } from "@shardcast/process";
import type { z } from "zod";
import { parseAddress } from "../units/address.ts";
import { formatBytes, parseBytes } from "../units/bytes.ts";
import { formatDuration, parseDuration } from "../units/duration.ts";
import { ItemError, parseEach, parseItem } from "../units/each.ts";
import { checkHeaderValue, parseHeaderName } from "../units/header.ts";
import { hasPem } from "../units/pem.ts";
import type { Kind } from "./kind.ts";
import { lazySchema } from "./zod.ts";

/** The kinds of values that are written as one text, or as a list of texts. */

const scalar = lazySchema<string>(
	(z) => z.union([z.string(), z.number()], { error: "is neither text nor a number" }).transform(String) as unknown as z.ZodType<string>,
);

/** A schema from a parser that throws RangeError with the rest of the sentence, or an AggregateError of several. */
function parsedBy<T>(parse: (text: string) => T): () => z.ZodType<T> {
	return lazySchema((z) => scalar().transform((text, context): T => orIssue(z, context, () => parse(text))) as unknown as z.ZodType<T>);
}

function orIssue<T>(z: typeof import("zod").z, context: z.RefinementCtx, parse: () => T): T {
	try {
		return parse();
	} catch (error) {
		const errors: unknown[] = error instanceof AggregateError ? error.errors : [error];
		for (const each of errors) {
			if (!(each instanceof RangeError)) throw error;
			context.addIssue({ code: "custom", message: each.message, params: each instanceof ItemError ? { item: each.item } : {} });
		}
		return z.NEVER;
	}
}

function kind<T>(parts: Omit<Kind<T>, "toFile" | "secret" | "objects"> & Partial<Kind<T>>): Kind<T> {
	return { toFile: parts.show, secret: false, objects: null, ...parts };
}

/** In the file, zero needs no unit and no quotes. */
function zeroOr(show: (value: number) => string): (value: number) => number | string {
	return (value) => (value === 0 ? 0 : show(value));
}

export function integer({ min, max }: { readonly min: number; readonly max: number }): Kind<number> {
	return kind({
		argument: "<n>",
		show: String,
		toFile: (value) => value,
		schema: parsedBy((text) => {
			const number = /^-?\d+$/.test(text.trim()) ? Number(text) : Number.NaN;
			if (!(number >= min && number <= max)) throw new RangeError(`is not a whole number from ${min} to ${max}`);
			return number;
		}),
	});
}

/** The value of a `countOrAuto` that says "auto". */
export const autoCount = -1;

/** A whole number from 0, or `auto`. */
export function countOrAuto({ max }: { readonly max: number }): Kind<number> {
	return kind({
		argument: "<n>",
		show: (value) => (value === autoCount ? "auto" : String(value)),
		toFile: (value) => (value === autoCount ? "auto" : value),
		schema: parsedBy((text) => {
			if (text.trim() === "auto") return autoCount;
			const number = /^\d+$/.test(text.trim()) ? Number(text) : Number.NaN;
			if (!(number <= max)) throw new RangeError(`is neither a whole number from 0 to ${max} nor auto`);
			return number;
		}),
	});
}

/** A whole number of percent, with or without the sign. */
export function percent(): Kind<number> {
	return kind({
		argument: "<percent>",
		show: (value) => `${value}%`,
		schema: parsedBy((text) => {
			const number = /^\d+\s*%?$/.test(text.trim()) ? Number.parseInt(text, 10) : Number.NaN;
			if (!(number >= 0 && number <= 100)) throw new RangeError("is not a whole number of percent from 1% to 100%, or off");
			return number;
		}),
	});
}

/** The same kind of number, which 0, "off" and `false` switch off. It must let 0 through. */
export function offOr(numbers: Kind<number>): Kind<number> {
	const show = (value: number): string => (value === 0 ? "off" : numbers.show(value));
	return {
		...numbers,
		argument: numbers.argument?.replace(/>$/, "|off>") ?? null,
		show,
		toFile: (value) => (value === 0 ? "off" : numbers.toFile(value)),
		schema: lazySchema((z) => z.preprocess((value) => (value === "off" || value === false ? "0" : value), numbers.schema())),
	};
}

/** From 0 to 1. */
export function fraction(): Kind<number> {
	return kind({
		argument: "<fraction>",
		show: String,
		toFile: (value) => value,
		schema: parsedBy((text) => {
			const number = /^\d*\.?\d+$/.test(text.trim()) ? Number(text) : Number.NaN;
			if (!(number >= 0 && number <= 1)) throw new RangeError("is not a number from 0 to 1");
			return number;
		}),
	});
}

/** In milliseconds. `zero: true` lets 0 through below `minMs`, for "off". */
export function duration({ minMs, maxMs, zero = false }: { minMs: number; maxMs: number; zero?: boolean }): Kind<number> {
	return kind({
		argument: "<duration>",
		show: formatDuration,
		toFile: zeroOr(formatDuration),
		schema: parsedBy((text) => {
			const ms = parseDuration(text);
			if (ms === 0 && zero) return 0;
			if (!(ms >= minMs && ms <= maxMs))
				throw new RangeError(`is not ${zero ? "0 or " : ""}between ${formatDuration(minMs)} and ${formatDuration(maxMs)}`);
			return ms;
		}),
	});
}

/** In bytes. `zero: true` lets 0 through below `minBytes`, for "no limit". */
export function size({ minBytes, maxBytes, zero = false }: { minBytes: number; maxBytes: number; zero?: boolean }): Kind<number> {
	return kind({
		argument: "<size>",
		show: formatBytes,
		toFile: zeroOr(formatBytes),
		schema: parsedBy((text) => {
			const bytes = parseBytes(text);
			if (bytes === 0 && zero) return 0;
			if (!(bytes >= minBytes && bytes <= maxBytes))
				throw new RangeError(`is not ${zero ? "0 or " : ""}between ${formatBytes(minBytes)} and ${formatBytes(maxBytes)}`);
			return bytes;
		}),
	});
}

/** Kept as text, checked here; the code that listens calls `parseAddress`. @param examplePort for the message. @param optional it may be empty. */
export function address({ examplePort, optional = false }: { readonly examplePort: number; readonly optional?: boolean }): Kind<string> {
	return kind({
		argument: "<host:port>",
		show: String,
		schema: parsedBy((text) => {
			if (text !== "" || !optional) parseAddress(text, examplePort);
			return text.trim();
		}),
	});
}

export function choice<const C extends readonly string[]>(choices: C): Kind<C[number]> {
	return kind({
		argument: `<${choices.join("|")}>`,
		show: String,
		schema: parsedBy((text): C[number] => {
			if (!choices.includes(text)) throw new RangeError(`is not one of ${choices.join(", ")}`);
			return text;
		}),
	});
}

interface TextRules {
	readonly argument: string;
	readonly matches: RegExp;
	/** Completes the sentence `"<text>" is not …`. */
	readonly expected: string;
}

export function text({ argument, matches, expected }: TextRules): Kind<string> {
	return kind({
		argument,
		show: String,
		schema: parsedBy((value) => {
			if (!matches.test(value)) throw new RangeError(`is not ${expected}`);
			return value;
		}),
	});
}

/** The path of a file with a key or a certificate. Other servers take the key itself here; it is refused without being shown. */
export function pemFile(argument = "<file>"): Kind<string> {
	return kind({
		argument,
		show: String,
		schema: parsedBy((value) => {
			if (hasPem(value)) throw new RangeError("is a key or a certificate, not the path of a file; write it to a file and name that");
			if (value.includes("\n")) throw new RangeError("is not a path");
			return value;
		}),
	});
}

/** Text that a parser understands; it throws RangeError with the rest of the sentence. Kept as text: the code that uses it parses it. */
export function checkedText({ argument, check }: { argument: string; check: (value: string) => unknown }): Kind<string> {
	return kind({
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

/** What takes a secret away, where it is too short to be one. */
const noSecret = "none";

/** @param isHeader it is sent in an HTTP header, where other characters than those of ASCII are refused, or read in two ways. */
export function secret({
	argument,
	charactersMin,
	isHeader = false,
}: {
	readonly argument: string;
	readonly charactersMin: number;
	readonly isHeader?: boolean;
}): Kind<string | undefined> {
	return kind<string | undefined>({
		argument,
		secret: true,
		show: (value) => (value === undefined ? "not set" : "set (hidden)"),
		toFile: () => undefined,
		schema: parsedBy<string | undefined>((value) => {
			if (value === noSecret && charactersMin > noSecret.length) return undefined;
			if (value.length < charactersMin || /\s/.test(value))
				throw new RangeError(`must have at least ${charactersMin} characters and no white space`);
			if (isHeader && !/^[\x21-\x7e]*$/.test(value)) throw new RangeError("must have no characters other than those of ASCII");
			return value;
		}),
	});
}

/** Text that a parser understands, and that may hold a password. @param shown what may be shown of it. */
export function secretText({
	argument,
	check,
	shown,
}: {
	readonly argument: string;
	readonly check: (value: string) => unknown;
	readonly shown: (value: string) => string;
}): Kind<string | undefined> {
	return kind<string | undefined>({
		argument,
		secret: true,
		show: (value) => (value === undefined ? "not set" : shown(value)),
		toFile: () => undefined,
		schema: listOr(
			parsedBy<string | undefined>((value) => {
				if (value === noSecret) return undefined;
				check(value);
				return value;
			}),
		),
	});
}

/** A YAML list says the same as its items with commas between them. */
function listOr<T>(schema: () => z.ZodType<T>): () => z.ZodType<T> {
	return lazySchema((z) => z.preprocess((value) => (Array.isArray(value) ? value.join(",") : value), schema()));
}

interface ListRules {
	readonly argument: string;
	/** Reads one item; it throws RangeError with the rest of the sentence. */
	readonly item?: (text: string) => string;
	/** Looks at all of them; it throws RangeError as well. */
	readonly check?: (items: readonly string[]) => readonly string[];
}

/** "a,b" or a YAML list. */
export function list({ argument, item = String, check = (items) => items }: ListRules): Kind<readonly string[]> {
	const split = (value: string) => value.split(",").map((text) => text.trim());
	return kind<readonly string[]>({
		argument,
		show: (values) => values.join(",") || "[]",
		toFile: (values) => values,
		schema: listOr(
			parsedBy((value) =>
				check(
					parseEach(
						split(value).filter((text) => text !== ""),
						(text) => parseItem(text, item),
					),
				),
			),
		),
	});
}

/** Headers by name. Not shown: some of them may be secrets. */
export function headers(): Kind<Readonly<Record<string, string>>> {
	const value = parsedBy((text) => {
		checkHeaderValue(text);
		return text;
	});
	return {
		argument: "<json>",
		secret: true,
		objects: null,
		show: (values) => (Object.keys(values).length === 0 ? "not set" : "set (hidden)"),
		toFile: () => undefined,
		schema: lazySchema((z) => {
			const name = z.string().transform((text, context) => orIssue(z, context, () => parseHeaderName(text)));
			return z.record(name, value(), { error: "is not a table of headers" });
		}),
	};
}

export function cpuList(): Kind<readonly number[]> {
	return kind<readonly number[]>({
		argument: "<list>",
		show: (cpus) => formatCpuList(cpus) || "[]",
		toFile: (cpus) => (cpus.length === 0 ? [] : formatCpuList(cpus)),
		schema: listOr(parsedBy(parseCpuList)),
	});
}

const trueOrFalse = lazySchema<boolean>(
	(z) =>
		z.union([z.boolean(), z.enum(["true", "false", "1", "0"]).transform((word) => word === "true" || word === "1")], {
			error: "is neither true nor false",
		}) as unknown as z.ZodType<boolean>,
);

export function toggle(): Kind<boolean> {
	return kind<boolean>({ argument: null, show: String, toFile: (value) => value, schema: trueOrFalse });
}

/** On, off, or undefined: other options decide. "auto" says so. */
export function autoToggle(): Kind<boolean | undefined> {
	return kind<boolean | undefined>({
		argument: null,
		show: (value) => (value === undefined ? "auto" : String(value)),
		toFile: (value) => value ?? "auto",
		schema: lazySchema<boolean | undefined>(
			(z) =>
				z.union([z.literal("auto").transform(() => undefined), trueOrFalse()], {
					error: "is neither true, false nor auto",
				}) as unknown as z.ZodType<boolean | undefined>,
		),
	});
}

import { inspect } from "node:util";
import type { z } from "zod";
import { fieldWithKey, type Kind, type Objects } from "../options/kind.ts";
import { linesMax } from "./config-error.ts";
import { nearest } from "./nearest.ts";
import { describeWithin, type Found, type ValuePath } from "./source.ts";

/** A value that has been checked, or one line for each mistake in it. */
export type Checked = { readonly value: unknown } | { readonly mistakes: readonly string[] };

const shownMax = 80;

/** Checks a value as it was found. Never throws. */
export function checkValue(kind: Kind<unknown>, found: Found): Checked {
	const raw = kind.objects !== null && typeof found.raw === "string" ? fromJson(found.raw) : found.raw;
	const result = kind.schema.safeParse(raw);
	const faults = [...(result.success ? [] : result.error.issues.flatMap((issue) => faultsOf(issue))), ...twins(kind, raw, [])];
	if (result.success && faults.length === 0) return { value: result.data };
	// To find the line and what was meant takes time, and the rest of many is only counted.
	const mistakes = faults.map((fault, index) => (index < linesMax ? describe(kind, found, raw, fault) : ""));
	return { mistakes };
}

/** Something wrong at a place within the value. */
interface Fault {
	readonly path: ValuePath;
	readonly kind: "wrong" | "unknown" | "twice";
	readonly message: string;
}

function faultsOf(issue: z.core.$ZodIssue): Fault[] {
	const path = issue.path as (string | number)[];
	if (issue.code !== "unrecognized_keys") return [{ path, kind: "wrong", message: issue.message }];
	return issue.keys.map((key) => ({ path: [...path, key], kind: "unknown", message: "" }));
}

/** Objects of a list whose identity another one has already. */
function twins(kind: Kind<unknown>, list: unknown, path: ValuePath): Fault[] {
	const { objects } = kind;
	if (objects === null || !Array.isArray(list)) return [];
	const seen = new Set<string>();
	return list.flatMap((item: unknown, index) => {
		if (typeof item !== "object" || item === null) return [];
		const fields = item as Readonly<Record<string, unknown>>;
		const faults = Object.values(objects.fields).flatMap((field) => twins(field, fields[field.key], [...path, index, field.key]));
		const { key } = objects.fields[objects.identity];
		const identity = fields[key];
		if (typeof identity !== "string") return faults;
		if (seen.has(identity)) faults.push({ path: [...path, index, key], kind: "twice", message: "" });
		seen.add(identity);
		return faults;
	});
}

function describe(kind: Kind<unknown>, found: Found, raw: unknown, { path, kind: fault, message }: Fault): string {
	const place = describeWithin(found, path);
	const value = valueAt(raw, path);
	if (fault === "unknown") return `${place}: unknown key; ${fixOf(kind, path)}`;
	if (fault === "twice") return `${place}: "${oneLine(value)}" is there twice; give each another`;
	if (value === undefined) return `${place}: is missing; give it`;
	const leaf = kindAt(kind, path);
	// A list or a table may hold a secret.
	const shown = leaf === null || leaf.secret || leaf.objects !== null ? "the value" : `"${oneLine(value)}"`;
	return `${place}: ${shown} ${message}`;
}

function fixOf(kind: Kind<unknown>, path: ValuePath): string {
	const names = Object.values(objectsAt(kind, path)?.fields ?? {}).map(({ key }) => key);
	const meant = nearest(String(path.at(-1)), names);
	return meant === undefined ? `there are ${names.join(", ")}` : `did you mean "${meant}"?`;
}

/** The kind of the value at this path: null where there is a whole object, or nothing known. */
function kindAt(kind: Kind<unknown>, path: ValuePath): Kind<unknown> | null {
	if (path.length === 0) return kind;
	if (path.length === 1) return null;
	const field = kind.objects === null ? undefined : fieldWithKey(kind.objects, String(path[1]));
	return field === undefined ? null : kindAt(field, path.slice(2));
}

/** The objects among which the last step of the path names a field. */
function objectsAt(kind: Kind<unknown>, path: ValuePath): Objects | null {
	return kindAt(kind, path.slice(0, -2))?.objects ?? null;
}

function valueAt(raw: unknown, path: ValuePath): unknown {
	return path.reduce((value, step) => (value as Readonly<Record<string | number, unknown>> | undefined)?.[step], raw);
}

/** Text that is no JSON stays what it is; the schema refuses it. */
function fromJson(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		return text;
	}
}

function oneLine(raw: unknown): string {
	return (typeof raw === "string" ? raw : asJson(raw)).replace(/\s+/g, " ").slice(0, shownMax);
}

function asJson(raw: unknown): string {
	try {
		return JSON.stringify(raw) ?? String(raw);
	} catch {
		// A list within itself, a BigInt of the library's caller.
		return inspect(raw, { depth: 1 });
	}
}

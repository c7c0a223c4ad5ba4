import { inspect } from "node:util";
import type { z } from "zod";
import { type Field, fieldWithKey, type Kind, type Objects } from "../options/kind.ts";
import { hasPem } from "../units/pem.ts";
import { closestWord } from "./closest-word.ts";
import { linesMax } from "./config-error.ts";
import { describeWithin, type FoundValue, type ValuePath } from "./layer.ts";
import { unknownKey } from "./unknown-key.ts";

/** A value that has been checked, or one line for each mistake in it. */
type CheckResult = { readonly value: unknown } | { readonly mistakes: readonly string[] };

const shownMax = 80;

/** Checks a value as it was found. Never throws. */
export function checkValue(kind: Kind<unknown>, found: FoundValue): CheckResult {
	const raw = rawOf(kind, found);
	const result = kind.schema().safeParse(raw);
	const faults = [...(result.success ? [] : result.error.issues.flatMap((issue) => faultsOf(issue))), ...twins(itemsOf(kind, raw, []))];
	if (result.success && faults.length === 0) return { value: result.data };
	// Finding the line and a suggestion takes time; if there are many mistakes, the rest is only counted.
	const mistakes = faults.map((fault, index) => (index < linesMax ? describe(kind, found, raw, fault) : ""));
	return { mistakes };
}

/** One line for each key within the value that only Centrifugo knows and that has no effect here. Never throws. */
export function unknownKeys(kind: Kind<unknown>, found: FoundValue): string[] {
	return itemsOf(kind, rawOf(kind, found), []).flatMap(({ path, values, objects }) =>
		Object.keys(values)
			.filter((key) => objects.foreign.has(key))
			.map((key) => unknownKey(describeWithin(found.layer, [...path, key]), key)),
	);
}

function rawOf(kind: Kind<unknown>, { raw }: FoundValue): unknown {
	return kind.objects !== null && typeof raw === "string" ? fromJson(raw) : raw;
}

interface RawItem {
	readonly path: ValuePath;
	readonly values: Readonly<Record<string, unknown>>;
	readonly objects: Objects;
}

/** The tables in a value: its own one or those of its list, and those within them. */
function itemsOf({ objects }: Kind<unknown>, raw: unknown, path: ValuePath): RawItem[] {
	if (objects === null) return [];
	const list: readonly (readonly [ValuePath, unknown])[] =
		objects.identity === null ? [[path, raw]] : Array.isArray(raw) ? raw.map((item: unknown, index) => [[...path, index], item]) : [];
	return list.flatMap(([place, item]) => {
		if (typeof item !== "object" || item === null || Array.isArray(item)) return [];
		const values = item as RawItem["values"];
		const within = Object.values(objects.fields).flatMap((field) => itemsOf(field, values[field.key], [...place, field.key]));
		return [{ path: place, values, objects }, ...within];
	});
}

/** Something wrong at a place within the value. */
interface Fault {
	readonly path: ValuePath;
	readonly kind: "wrong" | "unknown" | "twice";
	readonly message: string;
	/** Of a list that was written as one text, the item that is wrong. */
	readonly item?: string | undefined;
}

function faultsOf(issue: z.core.$ZodIssue): Fault[] {
	const path = issue.path as (string | number)[];
	if (issue.code === "custom") return [{ path, kind: "wrong", message: issue.message, item: issue.params?.item as string | undefined }];
	if (issue.code !== "unrecognized_keys") return [{ path, kind: "wrong", message: issue.message }];
	return issue.keys.map((key) => ({ path: [...path, key], kind: "unknown", message: "" }));
}

/** Objects of a list with the same identity as an earlier one. */
function twins(items: readonly RawItem[]): Fault[] {
	const seen = new Set<string>();
	return items.flatMap(({ path, values, objects }) => {
		if (objects.identity === null) return [];
		const { key } = objects.fields[objects.identity];
		const identity = values[key];
		if (typeof identity !== "string") return [];
		const place = JSON.stringify([path.slice(0, -1), identity]);
		if (seen.has(place)) return [{ path: [...path, key], kind: "twice", message: "" }];
		seen.add(place);
		return [];
	});
}

function describe(kind: Kind<unknown>, found: FoundValue, raw: unknown, { path, kind: fault, message, item }: Fault): string {
	const place = describeWithin(found.layer, path);
	const value = valueAt(raw, path);
	if (fault === "unknown") return `${place}: unknown key; ${fixOf(kind, path)}`;
	if (fault === "twice") return `${place}: "${oneLine(value)}" appears twice; make each different`;
	if (value === undefined) return `${place}: is missing; set it`;
	const leaf = kindAt(kind, path);
	// A list or a table may hold a secret.
	const isHidden = leaf === null || leaf.secret || leaf.objects !== null || (typeof value === "string" && hasPem(value));
	const shown = isHidden ? "the value" : `"${oneLine(item ?? value)}"`;
	return `${place}: ${shown} ${message}`;
}

function fixOf(kind: Kind<unknown>, path: ValuePath): string {
	const names = Object.values(objectsAt(kind, path)?.fields ?? {}).map(({ key }) => key);
	const meant = closestWord(String(path.at(-1)), names);
	return meant === undefined ? `there are ${names.join(", ")}` : `did you mean "${meant}"?`;
}

/** The kind of the value at this path: null where there is a whole object, or nothing known. */
function kindAt(kind: Kind<unknown>, path: ValuePath): Kind<unknown> | null {
	if (path.length === 0) return kind;
	const { field, rest } = step(kind, path);
	return field === undefined ? null : kindAt(field, rest);
}

/** The objects among which the last step of the path names a field. */
function objectsAt(kind: Kind<unknown>, path: ValuePath): Objects | null {
	const { field, rest } = step(kind, path);
	return rest.length === 0 || field === undefined ? kind.objects : objectsAt(field, rest);
}

/** From a table to its field, or from a list through one of its objects. */
function step({ objects }: Kind<unknown>, path: ValuePath): { readonly field: Field<unknown> | undefined; readonly rest: ValuePath } {
	const steps = objects?.identity === null ? 1 : 2;
	const name = path[steps - 1];
	return { field: objects === null || name === undefined ? undefined : fieldWithKey(objects, String(name)), rest: path.slice(steps) };
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

/** Without the user and the password of a URL. */
function oneLine(raw: unknown): string {
	const text = typeof raw === "string" ? raw : asJson(raw);
	return text
		.replace(/\s+/g, " ")
		.replace(/\/\/[^/?#@:]*:[^/?#@]*@/g, "//…@")
		.slice(0, shownMax);
}

function asJson(raw: unknown): string {
	try {
		return JSON.stringify(raw) ?? String(raw);
	} catch {
		// A list within itself, a BigInt of the library's caller.
		return inspect(raw, { depth: 1 });
	}
}

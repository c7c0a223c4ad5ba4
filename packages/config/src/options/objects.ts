import type { z } from "zod";
import type { Field, Fields, Kind, Objects } from "./kind.ts";
import { lazySchema, zod } from "./zod.ts";

/** An object of a list: frozen, with all fields; those that were not given have their default. */
export type Item<F extends Fields> = { readonly [Name in keyof F]: F[Name] extends Field<infer T> ? T : never };

interface TableRules<F extends Fields> {
	readonly fields: F;
	/** See `Objects.foreign`. */
	readonly foreign?: ReadonlySet<string>;
}

interface ObjectRules<F extends Fields> extends TableRules<F> {
	/** The property that tells the objects apart; its field must have no default. */
	readonly identity: keyof F & string;
}

/**
 * A list of objects. In the file each is a table; in a flag or the environment the list is written in JSON. Fields may be lists of objects
 * themselves.
 */
export function objects<const F extends Fields>({ fields, identity, foreign = none }: ObjectRules<F>): Kind<readonly Item<F>[]> {
	const toFile = (items: readonly Item<F>[]) => items.map((item) => byKey(fields, item));
	return {
		argument: "<json>",
		secret: false,
		objects: { fields, identity, foreign },
		show: (items) => JSON.stringify(toFile(items)),
		toFile,
		schema: lazySchema<readonly Item<F>[]>(
			(z) =>
				z.array(tableSchema(fields, foreign), {
					error: `is not a list of objects, such as [{"${fields[identity].key}": "…"}]`,
				}) as unknown as z.ZodType<readonly Item<F>[]>,
		),
	};
}

const none: ReadonlySet<string> = new Set();

/** One table of options, each with a default. In a flag or the environment it is written in JSON. */
export function table<const F extends Fields>({ fields, foreign = none }: TableRules<F>): Kind<Item<F>> {
	const toFile = (item: Item<F>) => byKey(fields, item);
	const standard = byKey(fields, emptyTable(fields));
	const changed = (item: Item<F>) =>
		Object.entries(toFile(item)).filter(([key, value]) => JSON.stringify(value) !== JSON.stringify(standard[key]));
	return {
		argument: "<json>",
		secret: false,
		objects: { fields, identity: null, foreign },
		/** What is not as it would be anyway. */
		show: (item) => JSON.stringify(Object.fromEntries(changed(item))),
		toFile,
		schema: lazySchema(() => tableSchema(fields, foreign) as z.ZodType<Item<F>>),
	};
}

/** The table with nothing given. */
export function emptyTable<F extends Fields>(fields: F): Item<F> {
	return Object.fromEntries(Object.entries(fields).map(([property, field]) => [property, field.default])) as Item<F>;
}

function tableSchema(fields: Fields, foreign: ReadonlySet<string>): z.ZodType {
	const z = zod();
	const shape = Object.fromEntries(Object.values(fields).map((field) => [field.key, schemaOf(field)]));
	const strict = z.strictObject(shape, { error: "is not a table of options" }).transform((values) => byProperty(fields, values));
	return z.preprocess((value) => withoutNulls(value, foreign), strict);
}

function schemaOf(field: Field<unknown>): z.ZodType {
	const schema = field.schema();
	if (!("default" in field)) return schema;
	return field.default === undefined ? schema.optional() : schema.default(field.default);
}

/** "history_size:" with nothing behind it is a field that nobody has filled in: the default. */
function withoutNulls(value: unknown, foreign: ReadonlySet<string>): unknown {
	if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
	return Object.fromEntries(Object.entries(value).filter(([key, each]) => each !== null && !foreign.has(key)));
}

type Values = Readonly<Record<string, unknown>>;

function byProperty(fields: Fields, values: Values): Values {
	return Object.fromEntries(Object.entries(fields).map(([property, { key }]) => [property, values[key]]));
}

/** As in the file, without secrets. */
function byKey(fields: Fields, item: Values): Record<string, unknown> {
	return Object.fromEntries(Object.entries(fields).map(([property, field]) => [field.key, field.toFile(item[property])]));
}

/**
 * A value that a program gives, as it would stand in the file: a duration with its unit, objects with the file's keys. What is wrong with it
 * stays so.
 */
export function toFileValue(kind: Kind<unknown>, value: unknown): unknown {
	const { objects, argument } = kind;
	if (objects?.identity === null) return itemAsInFile(objects, value);
	if (objects !== null && Array.isArray(value)) return value.map((item: unknown) => itemAsInFile(objects, item));
	const isDuration = argument === "<duration>" || argument === "<duration|off>";
	return isDuration && typeof value === "number" ? `${value}ms` : value;
}

function itemAsInFile({ fields }: Objects, item: unknown): unknown {
	if (typeof item !== "object" || item === null || Array.isArray(item)) return item;
	return Object.fromEntries(
		Object.entries(item).map(([property, value]) => {
			const field = Object.hasOwn(fields, property) ? fields[property] : undefined;
			return field === undefined ? [property, value] : [field.key, toFileValue(field, value)];
		}),
	);
}

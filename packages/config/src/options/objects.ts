import { z } from "zod";
import type { Field, Fields, Kind } from "./kind.ts";

/** An object of a list: frozen, with all fields; those that were not given have their default. */
export type Item<F extends Fields> = { readonly [Name in keyof F]: F[Name] extends Field<infer T> ? T : never };

export interface ObjectRules<F extends Fields> {
	readonly fields: F;
	/** The field that tells the objects apart; it must have no default. */
	readonly identity: keyof F & string;
}

/**
 * A list of objects. In the file each is a table; in a flag or the environment the list is written in JSON. Fields may be lists of objects
 * themselves.
 */
export function objects<const F extends Fields>({ fields, identity }: ObjectRules<F>): Kind<readonly Item<F>[]> {
	const table = z.strictObject(Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, schemaOf(field)])), {
		error: "is not a table of settings",
	});
	const toFile = (items: readonly Item<F>[]) => items.map((item) => itemToFile(fields, item));
	return {
		argument: "<json>",
		secret: false,
		objects: { fields, identity },
		show: (items) => JSON.stringify(toFile(items)),
		toFile,
		schema: z.array(z.preprocess(withoutNulls, table), {
			error: `is not a list of tables, such as [{"${identity}": "…"}]`,
		}) as unknown as z.ZodType<readonly Item<F>[]>,
	};
}

function schemaOf(field: Field<unknown>): z.ZodType {
	const { schema } = field.kind;
	if (!("default" in field)) return schema;
	return field.default === undefined ? schema.optional() : schema.default(field.default);
}

/** "history_size:" with nothing behind it is a field that nobody has filled in: the default. */
function withoutNulls(value: unknown): unknown {
	if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
	return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== null));
}

/** Without secrets. */
function itemToFile(fields: Fields, item: Readonly<Record<string, unknown>>): Record<string, unknown> {
	return Object.fromEntries(Object.entries(fields).map(([name, { kind }]) => [name, kind.toFile(item[name])]));
}

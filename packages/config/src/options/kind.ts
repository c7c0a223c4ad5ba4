import type { z } from "zod";

/** What values of an option there are: how they are read, checked and written. */
export interface Kind<T> {
	/** What `--help` shows as the flag's argument; null for a switch, which takes none. */
	readonly argument: string | null;
	/**
	 * Reads a value from a flag or the environment (text) and from the file (text, boolean, list or table). Its messages complete the
	 * sentence `<layer>: "<value>" …`.
	 */
	schema(): z.ZodType<T>;
	/** The value as a user would write it on the command line. */
	show(value: T): string;
	/** The value as it stands in the file, as plain data that the schema reads back; undefined = it is left out. */
	toFile(value: T): unknown;
	/** Never printed. */
	readonly secret: boolean;
	/** What the objects of a list are like, or the one of a table; null for any other kind. */
	readonly objects: Objects | null;
}

export interface Objects {
	/** By the property that an object has in the code. */
	readonly fields: Fields;
	/** The property that tells them apart: no two have the same value in it. Null = it is not a list, but one table. */
	readonly identity: string | null;
	/** Keys that another server knows. They have no effect, and are no mistake. */
	readonly foreign: ReadonlySet<string>;
}

/** One field of the objects in a list. An option is one as well. */
export interface Field<T> extends Kind<T> {
	/** Its key in the file. */
	readonly key: string;
	/** A field without a default has to be given. */
	readonly default?: T;
	/** One sentence, for the documentation. An option always has one. */
	readonly help?: string;
}

// biome-ignore lint/suspicious/noExplicitAny: fields of any type, each of which brings its own.
export type Fields = Readonly<Record<string, Field<any>>>;

export function field<T>({
	kind,
	...row
}: {
	readonly key: string;
	readonly kind: Kind<T>;
	readonly default?: NoInfer<T>;
	readonly help?: string;
}): Field<T> {
	return { ...row, ...kind };
}

export function fieldWithKey({ fields }: Objects, key: string): Field<unknown> | undefined {
	return Object.values(fields).find((each) => each.key === key);
}

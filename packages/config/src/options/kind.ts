import type { z } from "zod";

/** What values of an option there are: how they are read, checked and written. */
export interface Kind<T> {
	/** What `--help` shows as the flag's argument; null for a switch, which takes none. */
	readonly argument: string | null;
	/**
	 * Reads a value from a flag or the environment (text) and from the file (text, boolean, list or table). Its messages complete the
	 * sentence `<source>: "<value>" …`.
	 */
	readonly schema: z.ZodType<T>;
	/** The value as a user would write it on the command line. */
	show(value: T): string;
	/** The value as it stands in the file, as plain data that the schema reads back; undefined = it is left out. */
	toFile(value: T): unknown;
	/** Never printed. */
	readonly secret: boolean;
	/** What the objects of a list are like; null for any other kind. */
	readonly objects: Objects | null;
}

export interface Objects {
	readonly fields: Fields;
	/** The field that tells them apart: no two have the same value in it. */
	readonly identity: string;
}

/** One field of the objects in a list. */
export interface Field<T> {
	readonly kind: Kind<T>;
	/** A field without a default has to be given. */
	readonly default?: T;
}

// biome-ignore lint/suspicious/noExplicitAny: fields of any type, each of which brings its own.
export type Fields = Readonly<Record<string, Field<any>>>;

import { keysIn, type Shape } from "../options/shape.ts";
import { closestWord } from "./closest-word.ts";

interface KeyHint<K extends string> {
	/** What to write instead. */
	readonly fix: string;
	/** The options that it would give a value. */
	readonly keys: readonly K[];
}

interface Place<K extends string> {
	/** The section, such as "kafka.tls". */
	readonly section: string;
	readonly name: string;
	readonly key: K;
}

/** Suggests a key for one that does not exist, or not in this place. */
export class KeyHints<K extends string> {
	readonly #places = new Map<string, Place<K>>();

	/** @param words other names of options, such as their flags. */
	constructor(shape: Shape<K>, words: ReadonlyMap<string, K>) {
		const byKey = new Map<K, Place<K>>();
		const collect = (table: Shape<K>, path: readonly string[]): void => {
			for (const [name, entry] of table) {
				if (typeof entry !== "string") collect(entry, [...path, name]);
				else byKey.set(entry, { section: path.join("."), name, key: entry });
			}
		};
		collect(shape, []);
		for (const place of byKey.values()) this.#places.set(`${place.section}.${place.name}`, place);
		for (const [word, key] of words) if (byKey.has(key)) this.#places.set(word, byKey.get(key)!);
		for (const place of byKey.values()) if (!this.#places.has(place.name)) this.#places.set(place.name, place);
	}

	/**
	 * A name that is right elsewhere goes before one that is nearly right here, and that before one that is nearly right elsewhere.
	 * @param shape the table in which the name was found, and `prefix` the way to it. Null = nothing is near.
	 */
	meantBy(name: string, shape: Shape<K>, prefix: string): KeyHint<K> | null {
		const exact = this.#places.get(name.replaceAll("-", "_"));
		if (exact !== undefined) return elsewhere(exact);
		const here = closestWord(name, [...shape.keys()]);
		if (here !== undefined) return { fix: `did you mean "${prefix}${here}"?`, keys: keysIn(shape.get(here)!) };
		const near = closestWord(name, [...this.#places.keys()]);
		return near === undefined ? null : elsewhere(this.#places.get(near)!);
	}
}

function elsewhere<K extends string>({ section, name, key }: Place<K>): KeyHint<K> {
	return { fix: section === "" ? `write ${name} at the left margin` : `write "${name}" in the section "${section}"`, keys: [key] };
}

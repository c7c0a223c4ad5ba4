/** A table of the config file: each of its keys is an option, or a table again. `K` names the options. */
export type Shape<K extends string = string> = ReadonlyMap<string, K | Shape<K>>;

/** The tree of paths such as "kafka.tls.ca", in the order of the list. */
export function shapeOf<K extends string>(paths: readonly (readonly [path: string, key: K])[]): Shape<K> {
	const root = new Map<string, K | Shape<K>>();
	for (const [path, key] of paths) {
		const names = path.split(".");
		const last = names.pop()!;
		let table = root;
		for (const name of names) {
			if (!table.has(name)) table.set(name, new Map());
			table = table.get(name) as Map<string, K | Shape<K>>;
		}
		table.set(last, key);
	}
	return root;
}

/** All options in a table and in the tables within it. */
export function keysIn<K extends string>(entry: K | Shape<K>): K[] {
	return typeof entry === "string" ? [entry] : [...entry.values()].flatMap(keysIn);
}

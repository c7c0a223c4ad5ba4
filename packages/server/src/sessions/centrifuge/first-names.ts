/** The first of many names, ordered by UTF-16 code units, using memory for little more than twice as many. */
export class FirstNames<Value> {
	readonly #most: number;
	#found: (readonly [string, Value])[] = [];
	/** Names from this one on are not among the first; null = not known yet. */
	#end: string | null = null;

	/** @param most at least 1. */
	constructor(most: number) {
		this.#most = most;
	}

	add(name: string, value: Value): void {
		if (this.#end !== null && name > this.#end) return;
		if (this.#found.push([name, value]) >= 2 * this.#most + 1000) this.#sort();
	}

	/** In order. */
	get list(): readonly (readonly [string, Value])[] {
		this.#sort();
		return this.#found;
	}

	#sort(): void {
		this.#found = this.#found.sort(([a], [b]) => (a < b ? -1 : 1)).slice(0, this.#most);
		if (this.#found.length === this.#most) this.#end = this.#found.at(-1)![0];
	}
}

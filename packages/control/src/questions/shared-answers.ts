/** Answers under way. Requests for the same meanwhile share one, so that many scrapes at a time cost as much as one; orders share none. */
export class SharedAnswers {
	readonly #underWay = new Map<string, Promise<unknown>>();
	#orders = 0;

	/** Different questions under way, and orders. */
	get size(): number {
		return this.#underWay.size + this.#orders;
	}

	/** @param make as for `of`. */
	async alone(make: () => Promise<unknown>): Promise<unknown> {
		// Counted once `make` has looked at the size, as the shared ones are.
		const answer = make();
		this.#orders++;
		try {
			return await answer;
		} finally {
			this.#orders--;
		}
	}

	/**
	 * @param request as it goes to another process, so JSON holds all of it.
	 * @param make called when nobody has asked the same; must not throw, but may reject.
	 */
	of(name: string, request: unknown, make: () => Promise<unknown>): Promise<unknown> {
		const key = `${name} ${JSON.stringify(request)}`;
		const underWay = this.#underWay.get(key);
		if (underWay !== undefined) return underWay;
		const answer = make().finally(() => this.#underWay.delete(key));
		this.#underWay.set(key, answer);
		return answer;
	}
}

/** Answers in progress. Equal requests meanwhile share one, so that many scrapes at a time cost as much as one; orders are never shared. */
export class SharedAnswers {
	readonly #pending = new Map<string, Promise<unknown>>();
	#orders = 0;

	/** Number of different questions and of orders in progress. */
	get size(): number {
		return this.#pending.size + this.#orders;
	}

	/** Makes an answer that is not shared. @param make as for `of`. */
	async alone(make: () => Promise<unknown>): Promise<unknown> {
		// Counted only after `make` has checked the size, like shared ones.
		const answer = make();
		this.#orders++;
		try {
			return await answer;
		} finally {
			this.#orders--;
		}
	}

	/**
	 * Shares the answer of an equal request in progress, or makes one.
	 * @param request must be complete in JSON, since it is sent to other processes.
	 * @param make called if there is no equal request. Must not throw, but may reject.
	 */
	of(name: string, request: unknown, make: () => Promise<unknown>): Promise<unknown> {
		const key = `${name} ${JSON.stringify(request)}`;
		const underWay = this.#pending.get(key);
		if (underWay !== undefined) return underWay;
		const answer = make().finally(() => this.#pending.delete(key));
		this.#pending.set(key, answer);
		return answer;
	}
}

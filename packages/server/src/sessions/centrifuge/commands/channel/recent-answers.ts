/** How long a cached answer is used, in milliseconds. */
const keptMs = 250;
const channelsMax = 32;

/**
 * Shares expensive answers about channels: requests that arrive while one is being answered share its answer, and large answers are reused for a
 * quarter of a second.
 *
 * Owned by the shard's loop. Bound: 32 channels.
 */
export class RecentAnswers<Answer> {
	readonly #entries = new Map<string, { readonly answer: Promise<Answer>; until: number }>();
	readonly #isLarge: (answer: Answer) => boolean;

	constructor(isLarge: (answer: Answer) => boolean) {
		this.#isLarge = isLarge;
	}

	of(channel: string, ask: () => Promise<Answer>): Promise<Answer> {
		const known = this.#entries.get(channel);
		if (known !== undefined && performance.now() < known.until) return known.answer;
		const entry = { answer: ask(), until: Number.POSITIVE_INFINITY };
		const drop = (): void => {
			if (this.#entries.get(channel) === entry) this.#entries.delete(channel);
		};
		entry.answer.then((answer) => {
			entry.until = performance.now() + keptMs;
			if (!this.#isLarge(answer)) drop();
		}, drop);
		if (this.#entries.size < channelsMax) this.#entries.set(channel, entry);
		return entry.answer;
	}

	/** Removes expired answers. Must be called about once a second. */
	sweep(): void {
		const now = performance.now();
		for (const [channel, { until }] of this.#entries) if (until <= now) this.#entries.delete(channel);
	}
}

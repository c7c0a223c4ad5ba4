/** How long an answer that is kept serves others. */
const keptMs = 250;
const channelsMax = 32;

/**
 * Answers about channels that cost much: those who ask while one is on its way share it, and large ones serve others for a quarter of a second.
 *
 * One owner, the shard's loop. Bound: 32 channels.
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

	/** Forgets what is too old. About once a second. */
	sweep(): void {
		const now = performance.now();
		for (const [channel, { until }] of this.#entries) if (until <= now) this.#entries.delete(channel);
	}
}

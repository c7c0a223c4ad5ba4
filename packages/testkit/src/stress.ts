/** Multiplies the length of random tests: SHARDCAST_STRESS, from 1 to 1000. */
const factor = factorFrom(process.env.SHARDCAST_STRESS);

/**
 * Rounds, records, runs of a random test: `usual` in `npm test`, `SHARDCAST_STRESS` times as many in `npm run test:stress`, which finds
 * the files that call this. Deadlines that depend on such a length go through it as well.
 */
export function stressed(usual: number): number {
	return Math.round(usual * factor);
}

/** @throws RangeError for an invalid factor: a mistyped value must not make a short run look like a long one. */
export function factorFrom(text: string | undefined): number {
	const value = Number(text ?? 1);
	if (!(value >= 1 && value <= 1000)) throw new RangeError(`SHARDCAST_STRESS=${text}: give a number from 1 to 1000`);
	return value;
}

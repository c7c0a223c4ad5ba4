/** How far each candidate is from its next turn, by id. */
export type Credits = ReadonlyMap<string, number>;

/**
 * Whose turn it is. Each candidate gets turns in proportion to its weight, spread evenly: weights 3 and 1 give a, a, b, a. A candidate that
 * joins or leaves does not change the order of the others, and turns among some of the candidates do not disturb those of the rest.
 * @param candidates at least one.
 * @param credits as returned for the previous turn.
 * @param weightOf above 0.
 * @param random where a new candidate begins; from 0 to below 1. So not all who choose begin with the same.
 */
export function nextTurn<C extends { readonly id: string }>(
	candidates: readonly C[],
	credits: Credits,
	weightOf: (candidate: C) => number,
	random: () => number,
): { readonly picked: C; readonly credits: Credits } {
	const next = new Map(credits);
	let picked = candidates[0];
	let most = Number.NEGATIVE_INFINITY;
	let total = 0;
	for (const candidate of candidates) {
		const weight = weightOf(candidate);
		const credit = (credits.get(candidate.id) ?? random() * weight) + weight;
		next.set(candidate.id, credit);
		total += weight;
		if (credit <= most) continue;
		most = credit;
		picked = candidate;
	}
	next.set(picked.id, most - total);
	return { picked, credits: next };
}

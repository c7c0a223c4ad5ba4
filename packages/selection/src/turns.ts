/** How far each candidate is from its next turn, by id. */
export type Credits = Map<string, number>;

/**
 * Whose turn it is. Each candidate gets turns in proportion to its weight, spread evenly: weights 3 and 1 give a, a, b, a. A candidate that
 * joins or leaves does not change the order of the others, and turns among some of the candidates do not disturb those of the rest.
 * @param candidates at least one.
 * @param credits of all turns so far; this one is added. Not copied: the balancer takes a turn for each connection.
 * @param weightOf above 0.
 * @param random where a new candidate begins; from 0 to below 1. So not all who choose begin with the same.
 */
export function nextTurn<C extends { readonly id: string }>(
	candidates: readonly C[],
	credits: Credits,
	weightOf: (candidate: C) => number,
	random: () => number,
): C {
	let picked = candidates[0];
	let most = Number.NEGATIVE_INFINITY;
	let total = 0;
	for (const candidate of candidates) {
		const weight = weightOf(candidate);
		const credit = (credits.get(candidate.id) ?? random() * weight) + weight;
		credits.set(candidate.id, credit);
		total += weight;
		if (credit <= most) continue;
		most = credit;
		picked = candidate;
	}
	credits.set(picked.id, most - total);
	return picked;
}

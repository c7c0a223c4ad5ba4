import { type Candidate, loadWithOneMore } from "./candidate.ts";

/**
 * Of two candidates at random, the one with fewer connections for its weight. The spread is nearly as even as with the fewest of all, and many who choose
 * by the same old figures do not all choose the same candidate.
 * @param candidates at least one.
 * @param random returns a number from 0 to below 1.
 */
export function twoChoices<C extends Candidate>(candidates: readonly C[], random: () => number): C {
	const first = Math.floor(random() * candidates.length);
	if (candidates.length === 1) return candidates[first];
	// Any but the first.
	const second = (first + 1 + Math.floor(random() * (candidates.length - 1))) % candidates.length;
	const [one, other] = [candidates[first], candidates[second]];
	return loadWithOneMore(other) < loadWithOneMore(one) ? other : one;
}

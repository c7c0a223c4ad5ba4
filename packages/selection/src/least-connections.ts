import { type Candidate, loadWithOneMore } from "./candidate.ts";

/**
 * The candidate with the fewest connections for its weight; one of them at random when there are several, so that not all who choose begin with the
 * same. One pass.
 * @param candidates at least one.
 * @param random returns a number from 0 to below 1.
 */
export function leastConnections<C extends Candidate>(candidates: readonly C[], random: () => number): C {
	let best = candidates[0];
	let equals = 1;
	for (const candidate of candidates.slice(1)) {
		const difference = loadWithOneMore(candidate) - loadWithOneMore(best);
		if (difference > 0) continue;
		equals = difference < 0 ? 1 : equals + 1;
		if (difference < 0 || random() * equals < 1) best = candidate;
	}
	return best;
}

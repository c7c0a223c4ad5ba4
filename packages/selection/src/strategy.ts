import { adaptive } from "./adaptive.ts";
import type { Candidate } from "./candidate.ts";
import { consistentHash } from "./consistent-hash.ts";
import { leastConnections } from "./least-connections.ts";
import { type Credits, nextTurn } from "./turns.ts";
import { twoChoices } from "./two-choices.ts";

/** Whom a candidate is chosen for. */
export interface SelectionKey {
	/** The client's address as text; "" = unknown. */
	readonly address: string;
	/** "" = unknown. */
	readonly user: string;
}

/** Chooses one of the candidates, of which there is at least one. */
export type Strategy = <C extends Candidate>(candidates: readonly C[], key: SelectionKey) => C;

/** Candidates whose turns are remembered. When there are more, all turns begin again. */
const creditsMax = 1024;

/** By name, how each strategy begins. */
const strategies = {
	least_connections: (random, alone) => (candidates) => leastConnections(candidates, alone ? null : random),
	round_robin: (random) => inTurns(() => 1, random),
	random: (random) => (candidates) => twoChoices(candidates, random),
	weighted: (random) => inTurns(({ weight }) => weight, random),
	ip_hash: () => (candidates, key) => consistentHash(candidates, key.address),
	user_hash: () => (candidates, key) => consistentHash(candidates, key.user || key.address),
	adaptive: (random) => (candidates) => adaptive(candidates, random),
} satisfies Record<string, (random: () => number, alone: boolean) => Strategy>;

/**
 * Whether a strategy looks at the user of its key. For the others, who asks need not find out who the user is: the edge would read each URL for it.
 */
const usersOf: Readonly<Record<keyof typeof strategies, boolean>> = {
	least_connections: false,
	round_robin: false,
	random: false,
	weighted: false,
	ip_hash: false,
	user_hash: true,
	adaptive: false,
};

/** Those of the option `selectStrategy`; a test of packages/http compares them. */
export type StrategyName = keyof typeof strategies;
export const strategyNames = Object.keys(strategies) as readonly StrategyName[];

export function usesUser(name: StrategyName): boolean {
	return usersOf[name];
}

/**
 * A strategy with its own memory of turns.
 * @param random returns a number from 0 to below 1.
 * @param alone nobody else chooses among these candidates. Of several that are equal, the first one is chosen.
 */
export function createStrategy(name: StrategyName, random: () => number = Math.random, alone = false): Strategy {
	return strategies[name](random, alone);
}

function inTurns(weightOf: (candidate: Candidate) => number, random: () => number): Strategy {
	const credits: Credits = new Map();
	return (candidates) => {
		if (credits.size > creditsMax) credits.clear();
		return nextTurn(candidates, credits, weightOf, random);
	};
}

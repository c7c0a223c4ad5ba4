import type { Parameters } from "fast-check";
import { stressed } from "../stress.ts";

/**
 * From SHARDCAST_TEST_SEED, which `npm run test:fuzz` sets to a random number; else always the same, so that what a change breaks is told from what
 * chance finds. It stands in the test's name, so a failure tells how to repeat it.
 */
export const seed: number = Number(process.env.SHARDCAST_TEST_SEED ?? 1);

/** How long a file of `npm run test:fuzz` runs; 0 = in a run of all tests, where the number of cases decides. */
const minutes = Number(process.env.SHARDCAST_FUZZ_MINUTES ?? 0);
/** Repeats one case: as the failure has printed it. */
const path = process.env.SHARDCAST_FUZZ_PATH;

/**
 * How a property with random cases runs: `usual` cases in `npm test`, or for its share of the minutes that `npm run test:fuzz` was given.
 * @param share the part of its file's time that it gets; those of a file together are 1.
 */
export function fuzzed<T>(usual: number, share: number): Parameters<T> {
	const rest = path === undefined ? {} : { path };
	// A case that runs into a deadline does so again with each smaller one: the smallest so far is told before the test's own deadline.
	if (minutes === 0)
		return { seed, numRuns: stressed(usual), interruptAfterTimeLimit: fuzzTimeoutMs(share) * 0.75, markInterruptAsFailure: true, ...rest };
	return { seed, numRuns: Number.MAX_SAFE_INTEGER, interruptAfterTimeLimit: minutes * 60_000 * share, ...rest };
}

/** The deadline of a test that runs such a property. A failing one needs time to find the smallest case that fails. */
export function fuzzTimeoutMs(share: number): number {
	return stressed(120_000) + 2 * minutes * 60_000 * share;
}

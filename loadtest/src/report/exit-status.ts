import type { LoadTestResult } from "./result.ts";

/** How a load test ends, for scripts; a usage error has its own (`UsageError`). */
export const ExitStatus = {
	passed: 0,
	/** Something was lost, doubled, out of order, refused or unexpected, and no threshold says that so much may be. */
	failed: 1,
	usage: 2,
	/** A threshold is crossed, and nothing else is wrong. */
	thresholdCrossed: 3,
	interrupted: 130,
} as const;

export function exitStatusOf({ problems, thresholds, interrupted }: LoadTestResult): number {
	if (problems.length > 0) return ExitStatus.failed;
	if (interrupted !== undefined) return ExitStatus.interrupted;
	return thresholds.some(({ crossed }) => crossed) ? ExitStatus.thresholdCrossed : ExitStatus.passed;
}

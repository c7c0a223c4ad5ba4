import type { BenchResult } from "../support/report.ts";

/** One table of the tuning page. */
export interface Section {
	readonly help: string;
	/** As many as make it last two to four minutes. */
	readonly rounds: number;
	run(rounds: number): Promise<BenchResult>;
}

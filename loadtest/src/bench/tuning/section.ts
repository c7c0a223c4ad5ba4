import type { BenchResult } from "../report.ts";

/** One table of the tuning page. */
export interface Section {
	readonly help: string;
	/** Changes settings of the kernel: runs in a network namespace of its own, which root may make. */
	readonly isolated?: boolean;
	/** As many as make it last two to four minutes. */
	readonly rounds: number;
	run(rounds: number): Promise<BenchResult>;
}

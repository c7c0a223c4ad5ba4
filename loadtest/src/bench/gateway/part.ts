import { join } from "node:path";
import { type LatencySummary, summariseLatency } from "../../report/latency.ts";
import { withCleanup } from "../support/subject.ts";

export interface PartOptions {
	readonly rounds: number;
	readonly clients: number;
	/** Messages per second of the load that is to get through. */
	readonly rate: number;
}

/** One part of the bench. */
export interface Part {
	readonly help: string;
	/** As many as give a steady median within some minutes. */
	readonly rounds: number;
	run(options: PartOptions): Promise<void>;
}

export const backendCount = 16;
/** After the load has changed. */
export const settleMs = 1_000;
export const measureMs = 4_000;

export const shardcast = join(import.meta.dirname, "../../../../apps/supervisor/dist/main.js");

/** As `summariseLatency`. @throws when nothing was recorded: its zeros would meet every target. */
export function latencyOf(what: string, encoded: readonly string[]): LatencySummary {
	const summary = summariseLatency(encoded);
	if (summary.count === 0) throw new Error(`no latency was measured: ${what}`);
	return summary;
}

/** What a part may take before its first round, and for each round: more on a machine that is too busy to measure anything. */
const startMsMax = 60_000;
const roundMsMax = 60_000;

/** Runs `work` and then every `end`, as `withCleanup`. @throws when it takes too long. */
export async function boundedPart(rounds: number, work: (ends: (() => Promise<void>)[]) => Promise<void>): Promise<void> {
	let timer: NodeJS.Timeout | undefined;
	const tooLong = new Promise<never>((_, reject) => {
		const ms = startMsMax + rounds * roundMsMax;
		timer = setTimeout(() => reject(new Error(`not done within ${ms / 1000} s: the machine is too busy to measure anything`)), ms);
	});
	try {
		await withCleanup((ends) => Promise.race([work(ends), tooLong]));
	} finally {
		clearTimeout(timer);
	}
}

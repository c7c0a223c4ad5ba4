import { Command } from "commander";
import { numberWithin, parse } from "../options.ts";

export interface SoakOptions {
	readonly minutes: number;
	/** Clients that come per second. */
	readonly rate: number;
	readonly jsonPath: string | null;
}

/** @throws UsageError */
export function parseSoakOptions(argv: readonly string[]): SoakOptions {
	const parsed = parse(
		new Command("npm run test:soak --")
			.description(
				"Clients come and go for minutes, at a separate cluster. Ends with exit status 1 if memory or descriptors have grown by more than 5 % since the end of the warm-up, or if other clients have lost something meanwhile.",
			)
			.option("--minutes <n>", "How long; the first two fifths are the warm-up.", numberWithin(0.5, 24 * 60), 10)
			.option("--rate <n>", "Clients that connect per second.", numberWithin(1, 5_000), 200)
			.option("--json <path>", "Write the result to this file as well."),
		argv,
	);
	const { minutes, rate, json } = parsed as { minutes: number; rate: number; json?: string };
	return { minutes, rate, jsonPath: json ?? null };
}

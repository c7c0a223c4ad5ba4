import type { ReadMetric } from "@shardcast/telemetry";
import { counter, singleBy } from "@shardcast/telemetry";
import { type ReloadCounts, reloadResults } from "../reloader.ts";

export const reloadMetrics: readonly ReadMetric<Readonly<ReloadCounts>>[] = [
	counter(
		"shardcast_config_reloads_total",
		"none",
		"Times that the settings were read again (SIGHUP) or changed by the program (control.reload); rejected changed nothing, unchanged found nothing that can change while running, no_file had no config file to read again.",
		singleBy("result", (counts) => Object.fromEntries(reloadResults.map((result) => [result, counts[result]]))),
	),
];

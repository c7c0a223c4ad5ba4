import type { ReadMetric } from "@shardcast/telemetry";
import { counter, singleBy } from "@shardcast/telemetry";
import { type ReloadCounts, reloadResults } from "../reloader.ts";

export const reloadMetrics: readonly ReadMetric<Readonly<ReloadCounts>>[] = [
	counter(
		"shardcast_config_reloads_total",
		"none",
		"Reloads of the configuration, by SIGHUP or control.reload; rejected = an error, nothing changed; unchanged = no live option differed; no_file = there is no config file.",
		singleBy("result", (counts) => Object.fromEntries(reloadResults.map((result) => [result, counts[result]]))),
	),
];

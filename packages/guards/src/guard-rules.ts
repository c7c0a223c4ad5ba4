import type { Config } from "@shardcast/config";
import type { GuardName } from "@shardcast/scoreboard";
import type { GuardRule } from "./guard.ts";

/** The section `guards`. */
export type GuardConfig = Pick<
	Config,
	| "guardCpu"
	| "guardIngestCpu"
	| "guardCpuWindowMs"
	| "guardMemory"
	| "guardIngestMemory"
	| "guardLoopLagMs"
	| "guardDescriptors"
	| "guardSharedMemory"
	| "guardHoldMs"
>;

/** How far below its threshold a guard on a percentage stops to act, in points. */
const marginPercent = 5;
/** A peak of this length is no reason to act. CPU use needs none: it is an average. */
const peakMs = 3000;
/** One long collection of garbage is no reason to act, and neither is a process that was stopped for some seconds. */
const lagMs = 5000;
/** A low limit of open files must leave room for clients. */
const spareShare = 1 / 8;

/** The rule of each guard, as the options say. @param descriptorsMax of the process, for `descriptors`; 0 = no limit. @returns null = it is off. */
export function guardRule(name: GuardName, config: GuardConfig, descriptorsMax = 0): GuardRule | null {
	const leaveAfterMs = config.guardHoldMs;
	const percent = (enter: number, enterAfterMs: number): GuardRule | null =>
		enter === 0 ? null : { enter, leave: Math.max(enter - marginPercent, enter / 2), enterAfterMs, leaveAfterMs };
	switch (name) {
		case "cpu":
			return percent(config.guardCpu, 0);
		case "ingest_cpu":
			return percent(config.guardIngestCpu, 0);
		case "memory":
			return percent(config.guardMemory, peakMs);
		case "ingest_memory":
			return percent(config.guardIngestMemory, peakMs);
		case "shared_memory":
			return percent(config.guardSharedMemory, peakMs);
		case "loop_lag": {
			const enter = config.guardLoopLagMs;
			return enter === 0 ? null : { enter, leave: enter / 2, enterAfterMs: lagMs, leaveAfterMs };
		}
		case "descriptors": {
			const spare = Math.min(config.guardDescriptors, Math.floor(descriptorsMax * spareShare));
			if (spare === 0) return null;
			const enter = descriptorsMax - spare;
			return { enter, leave: enter - Math.ceil(spare / 2), enterAfterMs: 0, leaveAfterMs };
		}
		default:
			return name satisfies never;
	}
}

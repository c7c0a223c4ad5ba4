import { mergeReports } from "@shardcast/testkit";
import type { ConnectsReport, RampReport, SendReport } from "../generator.ts";
import { mergeLatencies, summariseLatency } from "../report/latency.ts";
import type { LoadTestResult } from "../report/result.ts";
import { mergeSeries } from "./merge-series.ts";

export interface NamedResult {
	readonly file: string;
	readonly result: LoadTestResult;
}

/**
 * One result of several load tests that loaded the same servers at the same time, each with its own messages. Latencies come from their
 * histograms put together, never from percentiles. What one found, the merged one has with its file's name.
 */
export function mergeResults(parts: readonly NamedResult[]): LoadTestResult {
	const results = parts.map(({ result }) => result);
	const [first] = results;
	const all = <T>(pick: (result: LoadTestResult) => T | undefined): T[] => results.map(pick).filter((part) => part !== undefined);
	const named = (pick: (result: LoadTestResult) => readonly string[]): string[] =>
		parts.flatMap(({ file, result }) => pick(result).map((text) => `${file}: ${text}`));
	const connects = all(({ connects }) => connects);
	const ramps = all(({ ramp }) => ramp);
	const sends = all(({ send }) => send);
	const series = all(({ series }) => series);
	const findings = parts.flatMap(({ file, result }) =>
		(result.findings ?? []).map(({ kind, text }) => ({ kind, text: `${file}: ${text}` })),
	);
	const interruptions = all(({ interrupted }) => interrupted);
	// Of the servers each has seen a part, or the same as the others: only what can be added up stays.
	const { hold, nodes, shards, servers, cpuUsPerDelivery, otherCpuPercent, ...common } = first;
	return {
		...(parts.length === 1 ? first : common),
		options: {
			...first.options,
			connections: sumOf(results.map(({ options }) => options.connections)),
			senders: sumOf(results.map(({ options }) => options.senders)),
			rate: sumOf(results.map(({ options }) => options.rate)),
		},
		merged: parts.map(({ file, result: { machine } }) => ({ file, machine })),
		...(ramps.length > 0 && { ramp: mergeRamps(ramps) }),
		...(connects.length > 0 && { connects: mergeConnects(connects) }),
		...(sends.length > 0 && { send: mergeSends(sends) }),
		...(series.length > 0 && { series: mergeSeries(series) }),
		...(interruptions.length > 0 && {
			interrupted: {
				open: sumOf(interruptions.map(({ open }) => open)),
				sent: sumOf(interruptions.map(({ sent }) => sent)),
				received: sumOf(interruptions.map(({ received }) => received)),
			},
		}),
		thresholds: [],
		findings,
		warnings: named(({ warnings }) => warnings),
		problems: named(({ problems }) => problems),
	};
}

/** They ran side by side: counts add up, and so do rates. */
function mergeRamps(ramps: readonly RampReport[]): RampReport {
	return {
		opened: sumOf(ramps.map(({ opened }) => opened)),
		openedByNode: addUpLists(ramps.map(({ openedByNode }) => openedByNode)),
		failures: addUp(ramps.map(({ failures }) => failures)),
		seconds: Math.max(...ramps.map(({ seconds }) => seconds)),
		connectsPerSecond: sumOf(ramps.map(({ connectsPerSecond }) => connectsPerSecond)),
	};
}

function mergeConnects(connects: readonly ConnectsReport[]): ConnectsReport {
	const histogram = mergeLatencies(connects.map((part) => part.histogram));
	return {
		attempted: sumOf(connects.map(({ attempted }) => attempted)),
		opened: sumOf(connects.map(({ opened }) => opened)),
		openedByNode: addUpLists(connects.map(({ openedByNode }) => openedByNode)),
		failures: addUp(connects.map(({ failures }) => failures)),
		latency: summariseLatency([histogram]),
		histogram,
	};
}

function mergeSends(sends: readonly SendReport[]): SendReport {
	const histogram = mergeLatencies(sends.map((part) => part.histogram));
	return {
		sent: sumOf(sends.map(({ sent }) => sent)),
		planned: sumOf(sends.map(({ planned }) => planned)),
		expected: sumOf(sends.map(({ expected }) => expected)),
		delivery: mergeReports(sends.map(({ delivery }) => delivery)),
		deliveries: sumOf(sends.map(({ deliveries }) => deliveries)),
		latency: summariseLatency([histogram]),
		histogram,
		nodes: [],
		seconds: Math.max(...sends.map(({ seconds }) => seconds)),
		refusals: addUp(sends.map(({ refusals }) => refusals)),
		lateMsMax: Math.max(...sends.map(({ lateMsMax }) => lateMsMax)),
		brokenOff: addUp(sends.map(({ brokenOff }) => brokenOff)),
		threads: sends.flatMap(({ threads }) => threads),
		cpuMs: sumOf(sends.map(({ cpuMs }) => cpuMs)),
	};
}

const sumOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);

function addUp(parts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
	const total: Record<string, number> = {};
	for (const part of parts) for (const [name, count] of Object.entries(part)) total[name] = (total[name] ?? 0) + count;
	return total;
}

function addUpLists(lists: readonly (readonly number[])[]): number[] {
	const length = Math.max(...lists.map((list) => list.length));
	return Array.from({ length }, (_, index) => sumOf(lists.map((list) => list[index] ?? 0)));
}

import { readFileSync, statSync } from "node:fs";
import { summariseLatency } from "../report/latency.ts";
import { type LoadTestResult, resultVersion } from "../report/result.ts";
import type { Series } from "../series/series.ts";

const bytesMax = 512 << 20;

/** Reads what a load test has written with --json. @throws RangeError whose message completes the sentence `"<path>" …`. */
export function readResult(path: string): LoadTestResult {
	let text: string;
	try {
		if (statSync(path).size > bytesMax) throw new RangeError(`is larger than ${bytesMax >> 20} MiB, and no result of a load test`);
		text = readFileSync(path, "utf8");
	} catch (error) {
		if (error instanceof RangeError) throw error;
		throw new RangeError(`can't be read (${(error as NodeJS.ErrnoException).code})`);
	}
	return parseResult(text);
}

export function parseResult(text: string): LoadTestResult {
	let value: Partial<LoadTestResult> | null;
	try {
		value = JSON.parse(text) as Partial<LoadTestResult> | null;
	} catch {
		throw new RangeError("is not JSON: was the load test ended before it wrote its result?");
	}
	if (typeof value !== "object" || value?.kind !== "shardcast-loadtest")
		throw new RangeError("is not a result of the load test; name files that it wrote with --json");
	if (value.version !== resultVersion)
		throw new RangeError(
			`has version ${value.version} of the result, and this load test reads ${resultVersion}; use the one that wrote it`,
		);
	const missing = (["machine", "options", "problems", "warnings", "thresholds"] as const).find((key) => typeof value[key] !== "object");
	if (missing !== undefined) throw new RangeError(`has no "${missing}": was it changed?`);
	const result = value as LoadTestResult;
	if (result.findings !== undefined && !Array.isArray(result.findings))
		throw new RangeError('has "findings" that are no list: was it changed?');
	if (result.series !== undefined) checkSeries(result.series);
	for (const histogram of [
		result.send?.histogram,
		result.connects?.histogram,
		...(result.series?.points ?? []).map((point) => point.histogram),
	])
		if (histogram !== undefined && histogram !== null) checkHistogram(histogram);
	return result;
}

/** What a merged series is computed from. */
function checkSeries({ startedAt, intervalSeconds, points }: Series): void {
	// Date.parse takes "5" for a day in May.
	if (!/^\d{4}-\d\d-\d\dT/.test(startedAt) || Number.isNaN(Date.parse(startedAt)))
		throw new RangeError('has a series whose "startedAt" is not a time such as 2026-01-31T12:00:00.000Z: was it changed?');
	if (!(intervalSeconds > 0)) throw new RangeError('has a series whose "intervalSeconds" is not above 0: was it changed?');
	if (!Array.isArray(points)) throw new RangeError('has a series without "points": was it changed?');
}

function checkHistogram(histogram: string): void {
	try {
		summariseLatency([histogram]);
	} catch {
		throw new RangeError("has a histogram that can't be read: was it changed?");
	}
}

import { readFileSync, statSync } from "node:fs";
import { summariseLatency } from "../report/latency.ts";
import { type LoadTestResult, resultVersion } from "../report/result.ts";

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
	for (const histogram of [
		result.send?.histogram,
		result.connects?.histogram,
		...(result.series?.points ?? []).map((point) => point.histogram),
	])
		if (histogram !== undefined && histogram !== null) checkHistogram(histogram);
	return result;
}

function checkHistogram(histogram: string): void {
	try {
		summariseLatency([histogram]);
	} catch {
		throw new RangeError("has a histogram that can't be read: was it changed?");
	}
}

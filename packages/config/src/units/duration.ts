const unitMs: ReadonlyMap<string, number> = new Map([
	["h", 3_600_000],
	["m", 60_000],
	["s", 1000],
	["ms", 1],
]);

/**
 * "250ms", "30s", "1.5m", "2h" or, as Go writes them, "1h30m0s" in milliseconds; a bare "0" is allowed, any other bare number is not: a forgotten unit
 * would be wrong by a factor of 1000 in one direction or the other.
 * @throws RangeError whose message completes the sentence `"<text>" …`.
 */
export function parseDuration(text: string): number {
	const composed = /^(?:\d+(?:\.\d+)?(?:ms|[hms])){2,}$/.test(text.trim());
	if (composed)
		return [...text.trim().matchAll(/([\d.]+)([a-z]+)/g)].reduce((sum, [, digits, unit]) => sum + Number(digits) * unitMs.get(unit)!, 0);
	const match = /^(\d+(?:\.\d+)?)\s*([a-zA-Z]*)$/.exec(text.trim());
	if (match === null) throw new RangeError("is not a duration; write 250ms, 30s or 2m");
	const [, digits, unit] = match;
	const number = Number(digits);
	if (unit === "") {
		if (number === 0) return 0;
		throw new RangeError(`has no unit; write ${digits}s or ${digits}ms`);
	}
	const factor = unitMs.get(unit);
	if (factor === undefined) throw new RangeError(`has the unknown unit "${unit}"; use ms, s, m or h`);
	return number * factor;
}

/** The shortest spelling that `parseDuration` reads back as the same number. */
export function formatDuration(ms: number): string {
	if (ms === 0) return "0";
	for (const [unit, factor] of unitMs) {
		if (ms % factor === 0) return `${ms / factor}${unit}`;
	}
	return `${ms}ms`;
}

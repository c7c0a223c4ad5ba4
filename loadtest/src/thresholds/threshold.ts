import type { LoadTestResult } from "../report/result.ts";
import { number } from "../report/table.ts";
import { type FigureName, type FigureUnit, figures, meaningOf } from "./figures.ts";

const comparisons = {
	">=": (value: number, limit: number) => value >= limit,
	"<=": (value: number, limit: number) => value <= limit,
	">": (value: number, limit: number) => value > limit,
	"<": (value: number, limit: number) => value < limit,
} as const;
type Comparison = keyof typeof comparisons;

/** What a limit is compared in. */
type LimitUnit = "ms" | "%" | "/s" | "";

/** The test fails when the comparison is true. */
export interface Threshold {
	/** As it was given. */
	readonly text: string;
	readonly figure: FigureName;
	readonly comparison: Comparison;
	readonly limit: number;
	readonly unit: LimitUnit;
}

export interface ThresholdResult extends Threshold {
	/** In the threshold's unit; null = the test did not get far enough to measure it, which fails as well. */
	readonly value: number | null;
	readonly crossed: boolean;
}

const timeUnitsMs: ReadonlyMap<string, number> = new Map([
	["us", 0.001],
	["µs", 0.001],
	["ms", 1],
	["s", 1000],
	["m", 60_000],
]);

/**
 * Reads `p99>50ms`, `loss > 0.1 %`, `throughput<10000`.
 * @throws RangeError whose message completes the sentence `"<text>" …` and names the place.
 */
export function parseThreshold(text: string): Threshold {
	const refuse = (at: number, problem: string): never => {
		throw new RangeError(`has a mistake at character ${at + 1}: ${problem}`);
	};
	const [, indent, name, gap, comparison, gap2, digits, gap3, unit] =
		/^(\s*)([a-z][a-z0-9.-]*)?(\s*)(>=|<=|>|<)?(\s*)(\d+(?:\.\d+)?)?(\s*)(.*?)\s*$/su.exec(text)!;
	let at = indent.length;
	if (name === undefined || !Object.hasOwn(figures, name))
		return refuse(
			at,
			`${name === undefined ? "a figure is missing" : `there is no figure "${name}"`}; write ${Object.keys(figures).join(", ")}`,
		);
	at += name.length + gap.length;
	// Without quotes the shell takes "> 50ms" for a file to write to, and only the figure arrives here.
	if (comparison === undefined) return refuse(at, `one of > >= < <= is missing; write --fail-if '${name}>…', with the quotes`);
	const comparisonAt = at;
	at += comparison.length + gap2.length;
	if (digits === undefined)
		return refuse(at, `a number is missing; write ${name}${comparison}${example[figures[name as FigureName].unit]}`);
	at += digits.length + gap3.length;
	const figure = name as FigureName;
	const limit = Number(digits);
	const kind = figures[figure].unit;
	switch (kind) {
		case "time": {
			const factor = timeUnitsMs.get(unit);
			if (factor === undefined)
				return refuse(
					at,
					`${unit === "" ? "a unit is missing" : `there is no unit "${unit}" of time`}; write us, ms, s or m, as in ${name}${comparison}${digits}ms`,
				);
			return { text, figure, comparison: comparison as Comparison, limit: limit * factor, unit: "ms" };
		}
		case "share":
			// It would fail the good test, and let the bad one pass: a threshold on a problem also makes the problem a warning.
			if (comparison.startsWith("<"))
				return refuse(comparisonAt, `a threshold on ${name} says how much is too much; write ${name}>${digits}${unit}`);
			if (unit !== "" && unit !== "%")
				return refuse(at, `"${unit}" is no unit of ${name}; write a count without a unit, or percent: ${name}${comparison}${digits}%`);
			return { text, figure, comparison: comparison as Comparison, limit, unit };
		case "rate":
			if (unit !== "" && unit !== "/s")
				return refuse(at, `"${unit}" is no unit of ${name}; it is per second: ${name}${comparison}${digits}/s`);
			return { text, figure, comparison: comparison as Comparison, limit, unit: "/s" };
		default:
			return kind satisfies never;
	}
}

const example: Readonly<Record<FigureUnit, string>> = { time: "50ms", share: "1%", rate: "1000/s" };

export function judge(threshold: Threshold, result: LoadTestResult): ThresholdResult {
	const { value: measure, outOf } = meaningOf(threshold.figure);
	let value = measure(result) ?? null;
	if (value !== null && threshold.unit === "%") {
		const whole = outOf!(result);
		value = whole === 0 ? (value === 0 ? 0 : 100) : (value / whole) * 100;
	}
	return { ...threshold, value, crossed: value === null || comparisons[threshold.comparison](value, threshold.limit) };
}

/** For people: what was measured, and what is too much. */
export function describeThreshold({ text, value, unit, crossed }: ThresholdResult): string {
	const measured = value === null ? "not measured" : `${number(value)}${unit === "" || unit === "/s" ? unit : ` ${unit}`}`;
	return `${crossed ? "CROSSED" : "kept   "}  ${text.trim()}: ${measured}`;
}

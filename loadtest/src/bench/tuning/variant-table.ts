import { number, table } from "../../report/table.ts";
import type { BenchResult } from "../support/report.ts";
import type { Spread } from "../support/spread.ts";

/** A result with a line for each variant, as a page shows it: medians, and from where to where the rounds lay when they differ. */
export function variantTable(result: BenchResult): string {
	const figures = Object.entries(result.figures);
	const head = ["variant", ...figures.map(([figure, { unit }]) => `${figure} (${unit})`)];
	const rows = Object.entries(result.summary).map(([variant, spreads]) => [variant, ...figures.map(([figure]) => cell(spreads[figure]!))]);
	return table(head, rows);
}

function cell({ min, median, max }: Spread): string {
	const [low, middle, high] = [number(min), number(median), number(max)];
	return low === high ? middle : `${middle} (${low}–${high})`;
}

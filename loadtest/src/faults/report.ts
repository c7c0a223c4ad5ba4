import { table } from "../report/table.ts";
import { type Wrong, wrongs } from "./oracle.ts";

/** What came of one fault of the schedule. */
export interface Outcome {
	readonly number: number;
	readonly kind: string;
	readonly story: string;
	/** Why it was not done; null = it was. */
	readonly skipped: string | null;
	/** From its end until all was served; null = never. */
	readonly serviceMs: number | null;
	readonly wrong: Readonly<Record<Wrong, number>>;
}

export interface FaultReport {
	readonly seed: number;
	readonly minutes: number | null;
	readonly node: string;
	readonly seconds: number;
	readonly outcomes: readonly Outcome[];
	/** Over all, with what was found after the last fault. */
	readonly wrong: Readonly<Record<Wrong, number>>;
	readonly examples: readonly string[];
	/** What ended the run before its time. */
	readonly problems: readonly string[];
	readonly publications: number;
	/** Publications that were sent again, since their answer did not come. */
	readonly repeats: number;
	/** Connections of raw clients that ended. */
	readonly interruptions: number;
	/** How often clients were told that they could not recover. */
	readonly told: number;
	readonly interrupted: boolean;
}

export interface KindSummary {
	readonly kind: string;
	readonly faults: number;
	readonly medianMs: number | null;
	readonly worstMs: number | null;
	readonly wrong: Readonly<Record<Wrong, number>>;
	/** Why none was done. */
	readonly skipped: string | null;
}

export function summarise(outcomes: readonly Outcome[]): KindSummary[] {
	const kinds = [...new Set(outcomes.map(({ kind }) => kind))].toSorted();
	return kinds.map((kind) => {
		const all = outcomes.filter((outcome) => outcome.kind === kind);
		const done = all.filter(({ skipped }) => skipped === null);
		const times = done.flatMap(({ serviceMs }) => serviceMs ?? []).toSorted((a, b) => a - b);
		const sum = (wrong: Wrong) => done.reduce((total, outcome) => total + outcome.wrong[wrong], 0);
		return {
			kind,
			faults: done.length,
			medianMs: times.length === 0 ? null : times[Math.floor((times.length - 1) / 2)]!,
			worstMs: times.at(-1) ?? null,
			wrong: Object.fromEntries(wrongs.map((wrong) => [wrong, sum(wrong)])) as Record<Wrong, number>,
			skipped: done.length === 0 ? (all[0]?.skipped ?? null) : null,
		};
	});
}

const columns = ["fault", "times", "median s", "worst s", ...wrongs];

export function renderReport(report: FaultReport): string {
	const seconds = (ms: number | null) => (ms === null ? "-" : (ms / 1000).toFixed(2));
	const kinds = summarise(report.outcomes);
	const rows = kinds
		.filter(({ skipped }) => skipped === null)
		.map(({ kind, faults, medianMs, worstMs, wrong }) => [
			kind,
			faults,
			seconds(medianMs),
			seconds(worstMs),
			...wrongs.map((name) => wrong[name]),
		]);
	rows.push(["all, with the end", rows.reduce((sum, row) => sum + Number(row[1]), 0), "", "", ...wrongs.map((name) => report.wrong[name])]);
	const lines = [
		table(
			columns,
			rows.map((row) => row.map(String)),
		),
		`${report.publications} publications, ${report.repeats} sent again; raw clients lost ${report.interruptions} connections; followers were told ${report.told} times that history was gone`,
		...kinds.flatMap(({ kind, skipped }) => (skipped === null ? [] : [`!!! ${kind} SKIPPED: ${skipped} !!!`])),
		...report.examples,
		...report.problems.map((problem) => `problem: ${problem}`),
		`seed ${report.seed}, ${Math.round(report.seconds)} s on Node ${report.node}: ${verdict(report)}`,
	];
	return lines.join("\n");
}

export function hasFailed({ wrong, problems }: Pick<FaultReport, "wrong" | "problems">): boolean {
	return problems.length > 0 || wrongs.some((name) => wrong[name] !== 0);
}

function verdict(report: FaultReport): string {
	if (hasFailed(report)) return "FAILED";
	return report.interrupted ? "interrupted, nothing wrong so far" : "nothing lost, duplicated, reordered or leaked";
}

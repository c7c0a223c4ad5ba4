import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { type Machine, machineFacts } from "../../machine.ts";
import { counted, number, table } from "../../report/table.ts";
import { type Spread, spreadOf } from "./spread.ts";

/**
 * The common frame of all benches: named variants measured in alternating rounds (A B A B …), so that a machine that gets
 * slower or noisier in the middle hits all of them; ratios are taken within a round, against the variant next to it.
 *
 * ```ts
 * await runBench({
 * 	name: "ring",
 * 	rounds: roundsFrom(process.argv.slice(2), 5),
 * 	figures: { recordsPerSecond: { unit: "records/s", better: "higher" } },
 * 	baseline: "copy",
 * 	variants: { copy: () => ({ recordsPerSecond: … }), ring: async () => ({ recordsPerSecond: … }) },
 * 	targets: [{ variant: "ring", figure: "recordsPerSecond", atLeast: 5e6 }],
 * });
 * ```
 */
interface Bench<Figure extends string, Variant extends string> {
	/** Names the result file: `loadtest/results/<name>-<time>.json`. */
	readonly name: string;
	readonly rounds: number;
	/** Rounds measured and thrown away before the first that counts (0). */
	readonly warmups?: number;
	readonly figures: Readonly<Record<Figure, FigureMeaning>>;
	/** The variant that ratios are taken against; none = no ratios. */
	readonly baseline?: NoInfer<Variant>;
	/** Each is called once per round, in this order, and returns every figure. */
	readonly variants: Readonly<
		Record<Variant, (round: number) => Readonly<Record<Figure, number>> | Promise<Readonly<Record<Figure, number>>>>
	>;
	readonly targets?: readonly Target<NoInfer<Figure>, NoInfer<Variant>>[];
	/** Set-up of the bench (sizes, counts), saved with the result. */
	readonly setup?: Readonly<Record<string, string | number | boolean>>;
	readonly resultsDirectory?: string;
	readonly print?: (line: string) => void;
}

interface FigureMeaning {
	readonly unit: string;
	/** What the line of a target calls it, instead of its name. */
	readonly title?: string;
	readonly better: "lower" | "higher";
	/** One sentence, printed under the table. */
	readonly help?: string;
	/** False = describes the conditions of a round; its ratio means nothing and is not printed. */
	readonly compared?: boolean;
	/** False = only saved: the bench prints it in its own way. */
	readonly shown?: boolean;
}

/** % of a core that other programs may use without a doubt about what was measured meanwhile. */
const otherPercentMax = 10;

/** A figure that says how quiet the machine was. Under this name, it also decides whether a target can be judged. */
export const otherCpuPercent = {
	unit: "% of a core",
	better: "lower",
	compared: false,
	help: `CPU that programs outside the bench used meanwhile: above ${otherPercentMax}, trust no figure`,
} as const satisfies FigureMeaning;

/** A figure that says how much of this machine was given to others, where it is a virtual one. */
export const stolenPercent = {
	unit: "%",
	better: "lower",
	compared: false,
	help: "CPU time that the host of a virtual machine took away, of all CPUs: it adds to every latency",
} as const satisfies FigureMeaning;

/** Judged by the median: of the ratios to the baseline when a ratio is given, else of the figure itself. */
export interface Target<Figure extends string, Variant extends string> {
	readonly variant: Variant;
	readonly figure: Figure;
	readonly ratioAtMost?: number;
	readonly ratioAtLeast?: number;
	readonly atMost?: number;
	readonly atLeast?: number;
}

interface TargetResult {
	readonly target: string;
	readonly measured: number;
	readonly met: boolean;
	/** Median of `otherCpuPercent` where it is too high to judge the target; left out where it is not. */
	readonly otherCpuPercent?: number;
}

export interface BenchResult<Figure extends string = string, Variant extends string = string> {
	readonly name: string;
	readonly machine: Machine;
	readonly setup: Readonly<Record<string, string | number | boolean>>;
	readonly baseline: Variant | null;
	readonly figures: Readonly<Record<Figure, FigureMeaning>>;
	/** One entry per round: what each variant measured. */
	readonly rounds: readonly Readonly<Record<Variant, Readonly<Record<Figure, number>>>>[];
	readonly summary: Readonly<Record<Variant, Readonly<Record<Figure, Spread & { readonly ratio?: Spread }>>>>;
	readonly targets: readonly TargetResult[];
}

/** Runs all rounds, prints the table and saves the JSON. A variant that throws ends the bench: half a comparison is none. */
export async function runBench<Figure extends string, Variant extends string>(
	bench: Bench<Figure, Variant>,
): Promise<BenchResult<Figure, Variant>> {
	const print = bench.print ?? console.log;
	const machine = machineFacts();
	const variants = Object.keys(bench.variants) as Variant[];
	const figures = Object.keys(bench.figures) as Figure[];
	const rounds: Record<Variant, Record<Figure, number>>[] = [];
	const warmups = bench.warmups ?? 0;
	print(`${bench.name}: ${counted(bench.rounds, "round")} of ${variants.join(", ")}${warmups > 0 ? `, ${warmups} to warm up` : ""}`);
	for (let round = -warmups; round < bench.rounds; round++) {
		const measured = {} as Record<Variant, Record<Figure, number>>;
		for (const variant of variants) {
			const taken = await bench.variants[variant](round);
			measured[variant] = { ...taken };
			const shown = figures
				.filter((figure) => bench.figures[figure].shown !== false)
				.map((figure) => `${figure} ${number(measured[variant][figure])} ${bench.figures[figure].unit}`);
			print(`  ${round < 0 ? "warm-up" : `round ${round + 1}`} ${variant}: ${shown.join(", ")}`);
		}
		if (round >= 0) rounds.push(measured);
	}
	const summary = summarise(rounds, variants, figures, bench.baseline);
	const result: BenchResult<Figure, Variant> = {
		name: bench.name,
		machine,
		setup: bench.setup ?? {},
		baseline: bench.baseline ?? null,
		figures: bench.figures,
		rounds,
		summary,
		targets: (bench.targets ?? []).map((target) => judge(target, bench, summary)),
	};
	print("");
	print(renderReport(result));
	print(`\nsaved: ${saveResult(result, bench.resultsDirectory)}`);
	return result;
}

function summarise<Figure extends string, Variant extends string>(
	rounds: readonly Record<Variant, Record<Figure, number>>[],
	variants: readonly Variant[],
	figures: readonly Figure[],
	baseline: Variant | undefined,
): BenchResult<Figure, Variant>["summary"] {
	const summary = {} as Record<Variant, Record<Figure, Spread & { ratio?: Spread }>>;
	for (const variant of variants) {
		summary[variant] = {} as Record<Figure, Spread & { ratio?: Spread }>;
		for (const figure of figures) {
			const spread = spreadOf(rounds.map((round) => round[variant][figure]));
			summary[variant][figure] =
				baseline === undefined || variant === baseline
					? spread
					: { ...spread, ratio: spreadOf(rounds.map((round) => round[variant][figure] / round[baseline][figure])) };
		}
	}
	return summary;
}

function judge<Figure extends string, Variant extends string>(
	target: Target<Figure, Variant>,
	{ figures, baseline }: Bench<Figure, Variant>,
	summary: BenchResult<Figure, Variant>["summary"],
): TargetResult {
	const spread = summary[target.variant][target.figure];
	const ofRatio = target.ratioAtMost !== undefined || target.ratioAtLeast !== undefined;
	if (ofRatio && spread.ratio === undefined)
		throw new RangeError(`target for ${target.variant}: a ratio needs a baseline other than itself`);
	const measured = ofRatio ? spread.ratio!.median : spread.median;
	const atMost = target.ratioAtMost ?? target.atMost ?? Number.POSITIVE_INFINITY;
	const atLeast = target.ratioAtLeast ?? target.atLeast ?? Number.NEGATIVE_INFINITY;
	const bounds = [
		atLeast > Number.NEGATIVE_INFINITY ? `≥ ${number(atLeast)}` : "",
		atMost < Number.POSITIVE_INFINITY ? `≤ ${number(atMost)}` : "",
	];
	const judged = ofRatio ? [target.variant, baseline!] : [target.variant];
	const others = Math.max(...judged.map((variant) => otherPercentOf(summary[variant])));
	return {
		target: `${target.variant} ${figures[target.figure].title ?? target.figure}${ofRatio ? " ratio" : ""} ${bounds.filter(Boolean).join(" and ")}`,
		measured,
		met: measured >= atLeast && measured <= atMost,
		...(others > otherPercentMax && { otherCpuPercent: others }),
	};
}

/** 0 for a bench that does not watch other programs. */
function otherPercentOf(figures: { readonly otherCpuPercent?: Spread }): number {
	return figures.otherCpuPercent?.median ?? 0;
}

function renderReport(result: BenchResult): string {
	const lines: string[] = [];
	const { machine } = result;
	lines.push(`${machine.cpu}, ${counted(machine.cores, "core")}, ${machine.kernel}, Node ${machine.node}, ${machine.date}`);
	const setup = Object.entries(result.setup).map(([key, value]) => `${key} ${typeof value === "number" ? number(value) : value}`);
	if (setup.length > 0) lines.push(setup.join(", "));
	const head = ["figure", "variant", "min", "median", "max"];
	if (result.baseline !== null) head.push(`ratio to ${result.baseline}: min`, "median", "max");
	const rows: string[][] = [];
	const shown = Object.entries(result.figures).filter(([, meaning]) => meaning.shown !== false);
	for (const [figure, meaning] of shown)
		for (const [variant, figures] of Object.entries(result.summary)) {
			const spread = figures[figure]!;
			const row = [`${figure} (${meaning.unit}, ${meaning.better} is better)`, variant, ...three(spread)];
			if (result.baseline !== null) row.push(...(spread.ratio && meaning.compared !== false ? three(spread.ratio) : ["", "", ""]));
			rows.push(row);
		}
	lines.push("", table(head, rows));
	for (const [figure, meaning] of shown) if (meaning.help) lines.push(`${figure}: ${meaning.help}`);
	if (result.targets.length > 0) lines.push("");
	lines.push(...result.targets.map(verdict));
	return lines.join("\n");
}

function verdict({ target, measured, met, otherCpuPercent }: TargetResult): string {
	const figure = `${target}: median ${number(measured)}`;
	if (otherCpuPercent === undefined) return `${met ? "met   " : "MISSED"}  ${figure}`;
	return `unsure  ${figure}, while other programs used ${number(otherCpuPercent)} % of a core: repeat the run`;
}

function three({ min, median, max }: Spread): string[] {
	return [number(min), number(median), number(max)];
}

/** Written under a temporary name first: a bench that is interrupted leaves no half-written result. */
function saveResult(result: BenchResult, directory = join(import.meta.dirname, "../../../results")): string {
	mkdirSync(directory, { recursive: true });
	const path = join(directory, `${result.name}-${result.machine.date.replaceAll(":", "-")}.json`);
	writeFileSync(`${path}.part`, `${JSON.stringify(result, null, "\t")}\n`);
	renameSync(`${path}.part`, path);
	return path;
}

/** The one flag that every bench has, besides --help. Anything else ends the process with a clear line and exit status 2. */
export function roundsFrom(argv: readonly string[], usual: number): number {
	try {
		const { values } = parseArgs({
			args: [...argv],
			options: { rounds: { type: "string", default: String(usual) }, help: { type: "boolean", short: "h" } },
		});
		if (values.help) {
			console.log(`usage: npm run bench:${basename(process.argv[1] ?? "", ".js")} -- [--rounds ${usual}]`);
			process.exit(0);
		}
		const rounds = Number(values.rounds);
		if (!Number.isInteger(rounds) || rounds < 1 || rounds > 1000)
			throw new RangeError(`--rounds ${values.rounds}: give a whole number from 1 to 1000`);
		return rounds;
	} catch (error) {
		console.error(`bench: ${(error as Error).message}`);
		process.exit(2);
	}
}

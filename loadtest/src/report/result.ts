import type { ConnectsReport, RampReport, SendReport } from "../generator.ts";
import type { Machine } from "../machine.ts";
import type { LoadTestOptions } from "../options.ts";
import type { Series } from "../series/series.ts";
import type { ProcessUsage, ShardConnections } from "../servers.ts";
import type { ProblemKind } from "../thresholds/figures.ts";
import type { Threshold, ThresholdResult } from "../thresholds/threshold.ts";

/** Of the result as JSON: raised when a field changes its meaning or goes. */
export const resultVersion = 1;

/** Everything that a load test found; a part is missing when the test did not get that far. */
export interface LoadTestResult {
	readonly kind: "shardcast-loadtest";
	readonly version: number;
	/** Of a merged result, that of the first. */
	readonly machine: Machine;
	/** The results that this one was put together from. */
	readonly merged?: readonly { readonly file: string; readonly machine: Machine }[];
	readonly options: LoadTestOptions;
	/** With stages of clients: of those that are there from the start. */
	ramp?: RampReport;
	/** All that were tried. */
	connects?: ConnectsReport;
	shards?: { readonly connections: readonly ShardConnections[]; readonly spreadPercent: number };
	hold?: HoldReport;
	/** Of each node; what is not known is missing. */
	nodes?: readonly NodeResult[];
	send?: SendReport;
	/** Of the send phase. Empty when the server's processes are not known. */
	servers?: readonly ProcessUsage[];
	cpuUsPerDelivery?: number;
	/** The send phase, over time. */
	series?: Series;
	/** CPU of other programs on this machine in the send phase, in percent of all its cores. */
	otherCpuPercent?: number;
	/** What --fail-if says; empty = nothing was asked for. */
	thresholds: readonly ThresholdResult[];
	/** Where an interrupted test was. */
	interrupted?: { readonly open: number; readonly sent: number; readonly received: number };
	/** What a threshold may judge, each with its text in `problems` or `warnings`: another threshold may judge it when results are merged. */
	findings?: Finding[];
	/** Why the figures may be the load generator's and not the server's; empty = they are the server's. */
	readonly warnings: string[];
	/** Why the test failed; empty = passed. */
	readonly problems: string[];
}

export interface NodeResult {
	readonly address: string;
	/** With stages, all that were opened. */
	connections: number;
	readonly connectsPerSecond: number;
	pssBytesPerConnection?: number;
	/** Of its processes, in the send phase. */
	cpuMs?: number;
	/** Deliveries to its clients. */
	expected?: number;
	received?: number;
	p50Ms?: number;
	p99Ms?: number;
}

interface HoldReport {
	/** CPU of all server processes while nothing was sent, in percent of one core. */
	readonly cpuPercent: number;
	readonly pssBytesBefore: number;
	readonly pssBytesAfter: number;
	readonly pssBytesPerConnection: number;
}

/** Something that makes a load test fail, unless a threshold says how much of its kind is too much. */
export interface Finding {
	readonly kind: ProblemKind;
	readonly text: string;
}

export function rampProblems(ramp: RampReport, connections: number): string[] {
	return connectFindings(connections, ramp.opened, ramp.failures).map(({ text }) => text);
}

export function connectFindings(attempted: number, opened: number, failures: Readonly<Record<string, number>>): Finding[] {
	if (opened === attempted) return [];
	return [{ kind: "connects-failed", text: `${attempted - opened} of ${attempted} connections did not open${listed(failures)}` }];
}

export function sendFindings(send: SendReport): Finding[] {
	const { delivery } = send;
	const findings: Finding[] = [];
	const found = (count: number, kind: ProblemKind, what: string): void => {
		if (count > 0) findings.push({ kind, text: `${count} ${what}` });
	};
	found(send.planned - send.sent, "errors", `of ${send.planned} messages were not taken by the server`);
	found(delivery.lost, "loss", "deliveries lost");
	found(delivery.duplicated, "duplicates", "deliveries doubled");
	found(delivery.reordered, "order", "deliveries out of order");
	found(delivery.unexpected, "unexpected", "deliveries that should not have been made");
	const refused = Object.values(send.refusals).reduce((sum, count) => sum + count, 0);
	found(refused, "errors", `messages refused${listed(send.refusals)}`);
	const broken = Object.values(send.brokenOff).reduce((sum, count) => sum + count, 0);
	found(broken, "disconnects", `connections ended during the test${listed(send.brokenOff)}`);
	return findings;
}

export function sendProblems(send: SendReport): string[] {
	return sendFindings(send).map(({ text }) => text);
}

/** Notes what was found: as a problem, or as a warning when a threshold judges how much is too much. */
export function noteFindings(result: LoadTestResult, findings: readonly Finding[], thresholds: readonly Threshold[]): void {
	for (const finding of findings) {
		const { kind, text } = finding;
		result.findings = [...(result.findings ?? []), finding];
		if (thresholds.some(({ figure }) => figure === kind)) result.warnings.push(judgedText(text));
		else result.problems.push(text);
	}
}

const judgedText = (text: string): string => `${text} (--fail-if says how many are too many)`;

/** The same result as if its load test had had these thresholds: what it found is a problem, or a warning, by them alone. */
export function judgedAgain(result: LoadTestResult, thresholds: readonly Threshold[]): LoadTestResult {
	// Without the list it is of a version that noted problems only.
	const findings =
		result.findings ?? (result.send === undefined ? [] : sendFindings(result.send)).filter(({ text }) => result.problems.includes(text));
	const noted = new Set(findings.flatMap(({ text }) => [text, judgedText(text)]));
	const others = (texts: readonly string[]) => texts.filter((text) => !noted.has(text));
	const again: LoadTestResult = { ...result, findings: [], problems: others(result.problems), warnings: others(result.warnings) };
	noteFindings(again, findings, thresholds);
	return again;
}

function listed(kinds: Readonly<Record<string, number>>): string {
	const list = Object.entries(kinds).map(([what, count]) => `${count} × ${what.trim()}`);
	return list.length > 0 ? `: ${list.join("; ")}` : "";
}

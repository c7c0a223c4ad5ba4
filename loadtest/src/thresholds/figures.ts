import type { LatencySummary } from "../report/latency.ts";
import type { LoadTestResult } from "../report/result.ts";

/** What is measured as what: `share` is a count that can also be compared in percent of what it could be. */
export type FigureUnit = "time" | "share" | "rate";

/** Kinds of problem that fail a test by themselves, unless a threshold says how many are too many. */
export type ProblemKind = "loss" | "duplicates" | "order" | "unexpected" | "errors" | "connects-failed" | "disconnects";

interface FigureMeaning {
	readonly unit: FigureUnit;
	/** For --help and the guide. */
	readonly help: string;
	/** Milliseconds, a count, or per second; undefined when the test did not get that far. */
	readonly value: (result: LoadTestResult) => number | undefined;
	/** Of how many, for percent. */
	readonly outOf?: (result: LoadTestResult) => number;
}

const sum = (counts: Readonly<Record<string, number>>): number => Object.values(counts).reduce((total, count) => total + count, 0);

const delivery = (help: string, pick: (latency: LatencySummary) => number): FigureMeaning => ({
	unit: "time",
	help: `latency of deliveries: ${help}`,
	value: ({ send }) => (send === undefined || send.latency.count === 0 ? undefined : pick(send.latency)),
});

const connect = (help: string, pick: (latency: LatencySummary) => number): FigureMeaning => ({
	unit: "time",
	help: `time to connect: ${help}`,
	value: ({ connects }) => (connects === undefined || connects.latency.count === 0 ? undefined : pick(connects.latency)),
});

const deliveries = (help: string, kind: "lost" | "duplicated" | "reordered" | "unexpected"): FigureMeaning => ({
	unit: "share",
	help,
	value: ({ send }) => send?.delivery[kind],
	outOf: ({ send }) => send?.expected ?? 0,
});

/** What --fail-if compares, by the name that it has there. */
export const figures = {
	p50: delivery("half of them are faster", ({ p50Ms }) => p50Ms),
	p90: delivery("90 % are faster", ({ p90Ms }) => p90Ms),
	p95: delivery("95 % are faster", ({ p95Ms }) => p95Ms),
	p99: delivery("99 % are faster", ({ p99Ms }) => p99Ms),
	"p99.9": delivery("99.9 % are faster", ({ p999Ms }) => p999Ms),
	max: delivery("the slowest", ({ maxMs }) => maxMs),
	mean: delivery("the mean", ({ meanMs }) => meanMs),
	"connect-p50": connect("half of them are faster", ({ p50Ms }) => p50Ms),
	"connect-p99": connect("99 % are faster", ({ p99Ms }) => p99Ms),
	"connect-max": connect("the slowest", ({ maxMs }) => maxMs),
	loss: deliveries("deliveries that are missing", "lost"),
	duplicates: deliveries("deliveries that came again", "duplicated"),
	order: deliveries("deliveries after a later one of the same sender", "reordered"),
	unexpected: deliveries("deliveries that should not have been made", "unexpected"),
	errors: {
		unit: "share",
		help: "messages that the server refused or did not take",
		value: ({ send }) => send && send.planned - send.sent + sum(send.refusals),
		outOf: ({ send }) => send?.planned ?? 0,
	},
	"connects-failed": {
		unit: "share",
		help: "connections that did not open: refused, failed or not answered",
		value: ({ connects }) => connects && sum(connects.failures),
		outOf: ({ connects }) => connects?.attempted ?? 0,
	},
	disconnects: {
		unit: "share",
		help: "connections that ended without being closed by the load test",
		value: ({ send }) => send && sum(send.brokenOff),
		outOf: ({ connects }) => connects?.opened ?? 0,
	},
	throughput: {
		unit: "rate",
		help: "deliveries per second",
		value: ({ send }) => (send === undefined || send.seconds === 0 ? undefined : send.deliveries / send.seconds),
	},
	"publish-rate": {
		unit: "rate",
		help: "messages sent per second",
		value: ({ send }) => (send === undefined || send.seconds === 0 ? undefined : send.sent / send.seconds),
	},
	"connect-rate": {
		unit: "rate",
		help: "connections opened per second",
		value: ({ ramp }) => ramp?.connectsPerSecond,
	},
} as const satisfies Readonly<Record<string, FigureMeaning>> & Readonly<Record<ProblemKind, FigureMeaning>>;
export type FigureName = keyof typeof figures;

export const meaningOf = (figure: FigureName): FigureMeaning => figures[figure];

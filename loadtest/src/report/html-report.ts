import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pageFolder } from "../page-folder.ts";
import { exitStatusOf } from "./exit-status.ts";
import { renderResult } from "./render.ts";
import type { LoadTestResult } from "./result.ts";
import { number } from "./table.ts";

/** One page with everything in it: charts, their library, the figures. It loads nothing, and its policy forbids it to. */
export function htmlReport(result: LoadTestResult): string {
	const uplot = dirname(createRequire(import.meta.url).resolve("uplot/dist/uPlot.esm.js"));
	const [chartsCss, charts] = ["uPlot.min.css", "uPlot.iife.min.js"].map((name) => readFileSync(join(uplot, name), "utf8"));
	const [css, page] = ["report.css", "report.js"].map((name) => readFileSync(join(pageFolder, name), "utf8"));
	const { machine, series } = result;
	const status = exitStatusOf(result);
	return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<title>Load test of ${escaped(machine.date)}</title>
<style>${chartsCss}${css}</style>
</head>
<body>
<main>
<header>
<h1>Load test</h1>
<p>${escaped(machine.date.slice(0, 19).replace("T", " "))} UTC</p>
<p class="verdict ${status === 0 ? "good" : "bad"}">${verdicts[status] ?? `exit status ${status}`}</p>
</header>
${list("bad", result.problems)}${list("warn", result.warnings)}${thresholds(result)}
<section class="tiles">${tiles(result)
		.map(([label, value]) => `<div><span>${escaped(label)}</span><strong>${escaped(value)}</strong></div>`)
		.join("")}</section>
<section id="charts"${series === undefined ? " hidden" : ""}></section>
<section><h2>All figures</h2><pre>${escaped(renderResult(result))}</pre><h2>Command</h2><pre>${escaped(machine.command)}</pre></section>
</main>
<script type="application/json" id="series">${inScript(series === undefined ? null : { ...series, points: series.points.map(({ histogram: _, ...point }) => point) })}</script>
<script>${charts}</script>
<script>${page}</script>
</body>
</html>
`;
}

const verdicts: Readonly<Record<number, string>> = { 0: "passed", 1: "failed", 3: "a threshold is crossed", 130: "interrupted" };

function tiles({ send, connects, series }: LoadTestResult): [string, string][] {
	const most = Math.max(0, ...(series?.points ?? []).map(({ clients }) => clients));
	return [
		...(connects === undefined ? [] : ([["connections opened", number(connects.opened)]] as [string, string][])),
		...(most === 0 ? [] : ([["most at once", number(most)]] as [string, string][])),
		...(send === undefined
			? []
			: ([
					["messages", number(send.sent)],
					["deliveries", number(send.deliveries)],
					["deliveries/s", number(Math.round(send.deliveries / Math.max(send.seconds, 0.001)))],
					["p50", `${number(send.latency.p50Ms)} ms`],
					["p99", `${number(send.latency.p99Ms)} ms`],
					["max", `${number(send.latency.maxMs)} ms`],
					["lost", number(send.delivery.lost)],
				] as [string, string][])),
	];
}

function list(kind: string, lines: readonly string[]): string {
	return lines.length === 0 ? "" : `<ul class="${kind}">${lines.map((line) => `<li>${escaped(line)}</li>`).join("")}</ul>\n`;
}

function thresholds({ thresholds }: LoadTestResult): string {
	if (thresholds.length === 0) return "";
	const rows = thresholds.map(
		({ text, value, unit, crossed }) =>
			`<tr class="${crossed ? "bad" : "good"}"><td>${escaped(text.trim())}</td><td>${value === null ? "not measured" : `${number(value)} ${unit}`}</td><td>${crossed ? "crossed" : "kept"}</td></tr>`,
	);
	return `<table><thead><tr><th>fails if</th><th>measured</th><th></th></tr></thead><tbody>${rows.join("")}</tbody></table>\n`;
}

function escaped(text: string): string {
	return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** JSON that no text in it can end the script element of. */
function inScript(value: unknown): string {
	return JSON.stringify(value).replaceAll("<", "\\u003c");
}

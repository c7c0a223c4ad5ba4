// What a Prometheus that scrapes the stack knows: targets, rules, and the queries of all panels. Exit status 1 with what is wrong.
//
//   node deploy/compose/prometheus.mjs http://127.0.0.1:9090
import process from "node:process";
import { setTimeout as pause } from "node:timers/promises";
import { dashboards } from "../grafana/dashboards.mjs";

const [base] = process.argv.slice(2);
const get = async (path) => (await (await fetch(`${base}/api/v1/${path}`)).json()).data;
const waitMs = 60_000;

/** The instant value of a panel's query, with Grafana's variables as Grafana would fill them in. */
async function ask(expr) {
	const query = expr
		.replaceAll(/\$__(rate_)?interval/g, "1m")
		.replaceAll(/\$__range/g, "5m")
		.replaceAll(/\$\{?\w+\}?/g, ".*");
	const answer = await (await fetch(`${base}/api/v1/query?query=${encodeURIComponent(query)}`)).json();
	return answer.status === "success" ? answer.data.result : `${answer.error} in ${query}`;
}

async function look() {
	const wrong = [];
	const { activeTargets } = await get("targets");
	for (const { scrapePool, health, lastError } of activeTargets)
		if (health !== "up") wrong.push(`target ${scrapePool} is ${health}: ${lastError}`);
	const rules = (await get("rules")).groups.flatMap(({ rules }) => rules);
	for (const { name, health, lastError } of rules) if (health !== "ok") wrong.push(`rule ${name} is ${health}: ${lastError ?? ""}`);
	if (activeTargets.length === 0 || rules.length === 0) wrong.push("no targets or no rules");
	let panels = 0;
	for (const [name, { panels: all }] of Object.entries(dashboards))
		for (const { title, targets } of all)
			for (const { expr } of targets ?? []) {
				const result = await ask(expr);
				panels++;
				if (result.length === 0 || typeof result === "string")
					wrong.push(`panel ${name} / ${title}: ${result.length === 0 ? "no data" : result}`);
			}
	return { wrong, targets: activeTargets.length, rules: rules.length, panels };
}

const endMs = performance.now() + waitMs;
let seen = await look();
while (seen.wrong.length > 0 && performance.now() < endMs) {
	await pause(2000);
	seen = await look();
}
for (const line of seen.wrong) console.error(line);
console.log(`${seen.targets} targets up, ${seen.rules} rules, ${seen.panels} panels' queries with data`);
process.exitCode = seen.wrong.length > 0 ? 1 : 0;

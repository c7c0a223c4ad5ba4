import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";

export const deploy = join(import.meta.dirname, "..");

interface Rule {
	readonly record?: string;
	readonly alert?: string;
	readonly expr: string;
	readonly annotations?: Readonly<Record<string, string>>;
}
interface Panel {
	readonly title: string;
	readonly targets?: readonly { readonly expr: string }[];
}

export function rules(): Rule[] {
	return ["recording.yml", "alerts.yml"].flatMap((name) => {
		const { groups } = parse(readFileSync(join(deploy, "prometheus/rules", name), "utf8")) as { groups: { rules: Rule[] }[] };
		return groups.flatMap((group) => group.rules);
	});
}

/** Every query of a rule or panel, with where it is. */
export function queries(dashboards: Readonly<Record<string, { readonly panels: readonly Panel[] }>>): Map<string, string> {
	const all = new Map<string, string>();
	for (const { record, alert, expr } of rules()) all.set(`rule ${record ?? alert}`, expr);
	for (const [name, { panels }] of Object.entries(dashboards))
		for (const { title, targets } of panels)
			for (const [index, { expr }] of (targets ?? []).entries()) all.set(`panel ${name} / ${title} / ${"ABCDEFGH"[index]}`, expr);
	return all;
}

/** The metrics that a query reads: names that no bracket follows, and that are no keyword, label or unit of time. */
export function metricsOf(expr: string): string[] {
	const bare = expr
		.replace(/"[^"]*"/g, "")
		.replace(/\{[^}]*\}/g, "")
		.replace(/\[[^\]]*\]/g, "")
		.replace(/\b(by|without|on|ignoring)\s*\([^)]*\)/g, "");
	const names = bare.match(/[a-zA-Z_:][a-zA-Z0-9_:]*(?!\s*\()\b/g) ?? [];
	return names.filter((name) => !["and", "or", "unless", "bool"].includes(name));
}

/** `x_bucket` and the like → `x`. */
export const family = (name: string): string => name.replace(/_(bucket|sum|count)$/, "");

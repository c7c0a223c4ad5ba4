import { counted } from "../counted.ts";
import type { Finding, FindingStatus } from "./finding.ts";

/** Of the column with the status. */
const width = 9;

export interface DoctorReport {
	/** The worst of the findings. */
	readonly status: FindingStatus;
	readonly version: string;
	readonly findings: readonly Finding[];
}

export function doctorReport(version: string, findings: readonly Finding[]): DoctorReport {
	const has = (status: FindingStatus) => findings.some((finding) => finding.status === status);
	return { status: has("problem") ? "problem" : has("warning") ? "warning" : "ok", version, findings };
}

/** For people: a line per check; what is not ok also says why it matters and what to change. */
export function reportText({ version, findings }: DoctorReport): string {
	const lines = [`shardcast ${version}: this machine, for a cluster with these options`];
	let area = "";
	for (const finding of findings) {
		if (finding.area !== area) {
			area = finding.area;
			lines.push("", area);
		}
		lines.push(`  ${finding.status.padEnd(width)}${finding.found}`);
		if (finding.status === "ok") continue;
		const indent = " ".repeat(width + 2);
		lines.push(`${indent}why: ${finding.why}`);
		if (finding.fix !== "") lines.push(`${indent}fix: ${finding.fix}`);
	}
	const count = (status: FindingStatus) => findings.filter((finding) => finding.status === status).length;
	lines.push("", `${counted(count("problem"), "problem")}, ${counted(count("warning"), "warning")}, ${count("ok")} ok`, "");
	return lines.join("\n");
}

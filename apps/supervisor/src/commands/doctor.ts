import type { CommandInput } from "@shardcast/config";
import { print } from "@shardcast/process";
import { examine } from "../doctor/examine.ts";
import { thisMachine } from "../doctor/machine.ts";
import { doctorReport, reportText } from "../doctor/report.ts";
import { version } from "../version.ts";

/** Examines this machine for a cluster with these options, and prints what to change. @returns 1 if there is a problem. */
export async function doctor({ loaded, own }: CommandInput): Promise<number> {
	const report = doctorReport(version, await examine(loaded, thisMachine()));
	await print(own.json === undefined ? reportText(report) : `${JSON.stringify(report, null, "\t")}\n`);
	return report.status === "problem" ? 1 : 0;
}

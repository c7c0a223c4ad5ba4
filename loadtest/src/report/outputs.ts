import { statSync, writeFileSync } from "node:fs";
import { UsageError } from "../options.ts";
import { seriesCsv } from "../series/csv.ts";
import { htmlReport } from "./html-report.ts";
import type { LoadTestResult } from "./result.ts";

interface OutputPaths {
	readonly jsonPath: string | null;
	readonly csvPath: string | null;
	readonly htmlPath: string | null;
}

const flags = { jsonPath: "--json", csvPath: "--csv", htmlPath: "--html" } as const;

/** Before anything is written: that no file is replaced by what is made from it, by whatever path it is named. @throws UsageError */
export function keepInputs(paths: OutputPaths, inputs: readonly string[]): void {
	const files = inputs.map((input) => ({ input, status: statSync(input) }));
	for (const [key, flag] of Object.entries(flags) as [keyof OutputPaths, string][]) {
		const path = paths[key];
		const found = path === null ? undefined : statSync(path, { throwIfNoEntry: false });
		if (found === undefined) continue;
		const same = files.find(({ status }) => status.dev === found.dev && status.ino === found.ino);
		if (same !== undefined) throw new UsageError(`error: ${flag} ${path} would replace ${same.input}, which is merged; name another file`);
	}
}

/** Before a test that takes long: whether its files can be written. @throws UsageError */
export function checkOutputs(paths: OutputPaths): void {
	for (const [key, flag] of Object.entries(flags) as [keyof OutputPaths, string][]) {
		const path = paths[key];
		if (path === null) continue;
		try {
			writeFileSync(path, "", { flag: "a" });
		} catch (error) {
			throw new UsageError(`error: ${flag} ${path} can not be written (${(error as NodeJS.ErrnoException).code}); name another file`);
		}
	}
}

export function writeOutputs(result: LoadTestResult, { jsonPath, csvPath, htmlPath }: OutputPaths): void {
	if (jsonPath !== null) writeFileSync(jsonPath, `${JSON.stringify(result, null, "\t")}\n`);
	if (csvPath !== null) writeFileSync(csvPath, seriesCsv(result.series ?? { startedAt: "", intervalSeconds: 1, points: [], lateParts: 0 }));
	if (htmlPath !== null) writeFileSync(htmlPath, htmlReport(result));
}

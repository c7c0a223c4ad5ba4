import { ConfigError } from "@shardcast/config";
import { StartupError } from "@shardcast/process";

/** ok; something to improve; something that keeps a cluster with these options from working. */
export type FindingStatus = "ok" | "warning" | "problem";

export const areas = ["programs", "CPUs", "memory", "kernel", "clock", "ports", "options", "services"] as const;
export type Area = (typeof areas)[number];

/** What one check has found. */
export interface Finding {
	/** Stable, for programs, such as "somaxconn". */
	readonly id: string;
	readonly area: Area;
	readonly status: FindingStatus;
	/** What is there now. */
	readonly found: string;
	/** Why it matters. */
	readonly why: string;
	/** The command or setting that changes it; "" = nothing to do. */
	readonly fix: string;
}

/** What all findings of a check have in common. */
export type Subject = Pick<Finding, "id" | "area" | "why">;

export const ok = (subject: Subject, found: string): Finding => ({ ...subject, status: "ok", found, fix: "" });
export const warning = (subject: Subject, found: string, fix: string): Finding => ({ ...subject, status: "warning", found, fix });
export const problem = (subject: Subject, found: string, fix: string): Finding => ({ ...subject, status: "problem", found, fix });

/** A line of the checks at the start, which ends with the fix after the last semicolon that has one. */
export function fromLine(subject: Subject, status: Exclude<FindingStatus, "ok">, line: string): Finding {
	const at = line.indexOf("; ");
	return { ...subject, status, found: at < 0 ? line : line.slice(0, at), fix: at < 0 ? "" : line.slice(at + 2) };
}

/** What a check of the start refuses, as problems; otherwise what `found` makes of its result. */
export async function unlessRefused<T>(
	subject: Subject,
	check: () => T | Promise<T>,
	found: (value: T) => readonly Finding[],
): Promise<Finding[]> {
	try {
		return [...found(await check())];
	} catch (error) {
		if (!(error instanceof StartupError)) throw error;
		const lines = error instanceof ConfigError ? error.lines : [error.message];
		return lines.map((line) => fromLine(subject, "problem", line));
	}
}

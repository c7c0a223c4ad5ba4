import { readFileSync } from "node:fs";
import { availableParallelism, cpus, release, totalmem } from "node:os";

/** What a figure must be read with: the same bench on another machine is another figure. */
export interface Machine {
	readonly date: string;
	readonly node: string;
	readonly cpu: string;
	/** Of the machine: this process may be kept to some of them. */
	readonly cores: number;
	readonly kernel: string;
	readonly memoryBytes: number;
	/** One-minute load average at the start: what else the machine was doing. */
	readonly load: number;
	readonly command: string;
}

export function machineFacts(now = new Date()): Machine {
	return {
		date: now.toISOString(),
		node: process.version,
		cpu: cpus()[0]?.model.trim() || "unknown",
		// Where /proc is hidden, Node knows no CPUs.
		cores: cpus().length || availableParallelism(),
		kernel: `${process.platform} ${release()}`,
		memoryBytes: totalmem(),
		load: loadAverage(),
		command: withoutSecrets(["node", ...process.argv.slice(1)]).join(" "),
	};
}

/** A command line as it may be written to a file: without values of headers, and without what follows the "?" of a URL. */
export function withoutSecrets(words: readonly string[]): string[] {
	const nameOnly = (header: string): string => header.replace(/:.*$/s, ": …");
	return words.map((word, index) => {
		if (words[index - 1] === "--header") return nameOnly(word);
		if (word.startsWith("--header=")) return nameOnly(word);
		return word.replace(/(wss?:\/\/[^\s?,]*\?)[^\s,]*/g, "$1…");
	});
}

function loadAverage(): number {
	try {
		return Number(readFileSync("/proc/loadavg", "utf8").split(" ")[0]);
	} catch {
		return 0; // no /proc: the field is for readers, not for arithmetic
	}
}

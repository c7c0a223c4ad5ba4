import { readFileSync } from "node:fs";
import { availableParallelism, cpus, release, totalmem } from "node:os";

/** What a figure must be read with: the same bench on another machine is another figure. */
export interface Machine {
	readonly date: string;
	readonly node: string;
	readonly cpu: string;
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
		cores: availableParallelism(),
		kernel: `${process.platform} ${release()}`,
		memoryBytes: totalmem(),
		load: loadAverage(),
		command: ["node", ...process.argv.slice(1)].join(" "),
	};
}

function loadAverage(): number {
	try {
		return Number(readFileSync("/proc/loadavg", "utf8").split(" ")[0]);
	} catch {
		return 0; // no /proc: the field is for readers, not for arithmetic
	}
}

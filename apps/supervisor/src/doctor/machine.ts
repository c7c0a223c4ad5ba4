import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type ClockState, clockState } from "@shardcast/native";
import { memoryLimitBytes } from "@shardcast/process";

/** The machine that is examined. Tests give another root, and other answers of the kernel. */
export interface Machine {
	/** In the place of "/". */
	readonly root: string;
	readonly clock: () => ClockState | null;
	readonly nodeVersion: string;
	/** Of the container or the machine. */
	readonly memoryBytes: number;
	/** PATH. */
	readonly path: string;
	/** Limit for reaching a service. */
	readonly reachMs: number;
}

export function thisMachine(): Machine {
	return {
		root: "/",
		clock: clockState,
		nodeVersion: process.versions.node,
		memoryBytes: memoryLimitBytes(),
		path: process.env.PATH ?? "",
		reachMs: 3000,
	};
}

/** A file of /proc or /sys; null if there is none, which depends on the kernel and the container. @param path without the first slash. */
export function readText({ root }: Pick<Machine, "root">, path: string): string | null {
	try {
		return readFileSync(join(root, path), "latin1").trim();
	} catch {
		return null;
	}
}

/** The numbers of a kernel parameter; null if this machine does not show it. @param name such as "net.core.somaxconn". */
export function kernelNumbers(machine: Pick<Machine, "root">, name: string): readonly number[] | null {
	const text = readText(machine, `proc/sys/${name.replaceAll(".", "/")}`);
	const numbers = text?.split(/\s+/).map(Number);
	return numbers === undefined || numbers.some(Number.isNaN) ? null : numbers;
}

import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { cacheFolder } from "../cache-folder.ts";

/** The broker that `kafka:up` left running, as written down for `kafka:down`. */
interface RunningBroker {
	readonly pid: number;
	readonly directory: string;
	readonly brokers: string;
}

const notePath = join(cacheFolder(), "kafka-running.json");

export function writeNote(running: RunningBroker): void {
	mkdirSync(dirname(notePath), { recursive: true });
	writeFileSync(notePath, JSON.stringify(running));
}

export function removeNote(): void {
	rmSync(notePath, { force: true });
}

/** True while that pid is still the broker that was started, not a stranger that got its number. */
export function isAlive(running: RunningBroker): boolean {
	try {
		return readFileSync(`/proc/${running.pid}/cmdline`, "utf8").includes(basename(running.directory));
	} catch {
		return false;
	}
}

export function readNote(): RunningBroker | null {
	try {
		return JSON.parse(readFileSync(notePath, "utf8")) as RunningBroker;
	} catch {
		return null;
	}
}

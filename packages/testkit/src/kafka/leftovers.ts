import { lstatSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { identify, isAlive } from "../processes/proc.ts";

const prefix = "shardcast-kafka-";
const ownedName = new RegExp(`^${prefix}(\\d+)-(\\d+)-`);

/** Start of the name of a directory that this process makes: whose it is shows from the first moment. */
export function ownedPrefix(): string {
	const { pid, startTicks } = identify(process.pid);
	return `${prefix}${pid}-${startTicks}-`;
}

/**
 * Removes what brokers of killed test runs left in `base`: this user's directories whose maker is dead and which no process
 * names on its command line, as a broker does that was to outlive its maker.
 * @returns the removed paths.
 */
export function removeLeftovers(base: string): string[] {
	const removed: string[] = [];
	const orphans = readdirSync(base).filter((name) => makerIsDead(name));
	if (orphans.length === 0) return removed;
	const commandLines = allCommandLines();
	for (const name of orphans) {
		const path = join(base, name);
		if (commandLines.some((line) => line.includes(name)) || !isOwnDirectory(path)) continue;
		try {
			rmSync(path, { recursive: true, force: true });
			removed.push(path);
		} catch {
			// Somebody else clears up at the same time, or the next start will.
		}
	}
	return removed;
}

function makerIsDead(name: string): boolean {
	const [, pid, startTicks] = ownedName.exec(name) ?? [];
	return pid !== undefined && !isAlive({ pid: Number(pid), startTicks: Number(startTicks) });
}

function isOwnDirectory(path: string): boolean {
	const status = lstatSync(path, { throwIfNoEntry: false });
	return status?.isDirectory() === true && status.uid === process.getuid?.();
}

function allCommandLines(): string[] {
	return readdirSync("/proc")
		.filter((name) => /^\d+$/.test(name))
		.map((pid) => {
			try {
				return readFileSync(`/proc/${pid}/cmdline`, "utf8");
			} catch {
				return ""; // it has ended meanwhile
			}
		});
}

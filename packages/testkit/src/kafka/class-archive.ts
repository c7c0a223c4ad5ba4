import { createHash } from "node:crypto";
import { existsSync, renameSync, rmSync } from "node:fs";

/** Quick to start and cheap while little is asked of it: no optimising compiler, whose work pays off after minutes. */
export const fastStartFlags: readonly string[] = ["-XX:TieredStopAtLevel=1"];

/**
 * The JVM's flags for a quick start: loaded classes come from an archive beside the jars, which more than halves the time and the CPU
 * that a start takes. The first broker on a machine makes it, by `dump`, which costs one start and an orderly stop. Several
 * processes that make it at once do no harm: the last rename wins, and each file is whole.
 *
 * @param java what the JVM says of its version: an archive is of one build alone.
 * @param dump runs a broker with the flags it is given, and stops it in order.
 */
export async function classArchiveFlags(jars: string, java: string, dump: (flags: readonly string[]) => Promise<void>): Promise<string[]> {
	const path = `${jars}-${createHash("sha256").update(java).digest("hex").slice(0, 12)}.jsa`;
	if (!existsSync(path)) {
		const half = `${path}.${process.pid}`;
		try {
			await dump([...fastStartFlags, `-XX:ArchiveClassesAtExit=${half}`]);
			renameSync(half, path);
		} catch (error) {
			rmSync(half, { force: true });
			process.stderr.write(`brokers for tests start slowly: there is no archive of their classes (${(error as Error).message})\n`);
			return [...fastStartFlags];
		}
	}
	return [...fastStartFlags, `-XX:SharedArchiveFile=${path}`];
}

import { accessSync, constants, statfsSync, statSync } from "node:fs";
import { type Config, formatBytes, type NameOf, ringCapacityBytes } from "@shardcast/config";
import { positionFileBytes } from "@shardcast/kafka";
import { RateTable } from "@shardcast/limits";
import { socketPathBytesMax } from "@shardcast/native";
import { Scoreboard } from "@shardcast/scoreboard";
import { eventRingBytes } from "@shardcast/webhooks";

/** Upper bound per shard for ring headers, bells, sockets and similar. */
const perShardBytes = 65_536;

/** Up to 56 bytes of a socket's path are used by `/shardcast-<uid>-<pid>-<random>/handoff-<slot>.sock`. */
const pathBytesMax = socketPathBytesMax - 56;

/** tmpfs and ramfs. Any other file system would write the rings to disk again and again. */
const memoryFileSystems = [0x01021994, 0x858458f6];

const othersMayWrite = 0o022;
/** Sticky bit: only its owner can remove a file, as in /dev/shm. */
const sticky = 0o1000;

/** What a cluster reserves at its start. The Helm chart computes the size of /dev/shm from the same options. */
export function sharedMemoryBytes(config: Config, shards: number, { hasHistory = true } = {}): number {
	const positions = config.kafkaBrokers.length > 0 ? positionFileBytes : 0;
	const fixed = Scoreboard.bytes() + RateTable.bytes + positions + (hasHistory ? config.historyMemoryBytes : 0);
	const events = config.webhooks.length > 0 ? eventRingBytes : 0;
	return fixed + shards * (ringCapacityBytes(config) + events + perShardBytes);
}

/**
 * What is wrong with the directory for the shared memory, in one line; null if nothing is.
 * @param freedBytes what will be free before such a cluster starts, beside what is free now.
 */
export function sharedMemoryProblem(
	config: Config,
	shards: number,
	name: NameOf,
	{ hasHistory = true, freedBytes = 0 } = {},
): string | null {
	const path = config.clusterDirectory;
	const fix = "name a writable directory in a memory file system";
	try {
		if (!statSync(path).isDirectory()) return `${name("clusterDirectory")}: ${path} is not a directory; ${fix}`;
		accessSync(path, constants.W_OK | constants.X_OK);
	} catch (error) {
		const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
		return `${name("clusterDirectory")}: ${path} ${missing ? "does not exist" : "can't be written to"}; ${fix}`;
	}
	const { bavail, bsize, type } = statfsSync(path);
	if (!memoryFileSystems.includes(type))
		return `${name("clusterDirectory")}: ${path} is on a disk, not in memory; ${fix}, such as /dev/shm`;
	if (Buffer.byteLength(path) > pathBytesMax)
		return `${name("clusterDirectory")}: the path is ${Buffer.byteLength(path)} bytes; the most is ${pathBytesMax}, since it holds sockets; name a shorter one`;
	const needed = sharedMemoryBytes(config, shards, { hasHistory });
	if (bavail * bsize + freedBytes >= needed) return null;
	const free = formatBytes(Math.floor((bavail * bsize) / 1024) * 1024);
	const history = `${formatBytes(config.historyMemoryBytes)} of history (${name("historyMemoryBytes")})`;
	const mebibytes = Math.ceil(needed / 1_048_576);
	if (!hasHistory)
		return `${name("ring")}: ${shards} rings need ${mebibytes}MiB and ${path} has ${free} free; give a smaller --ring, or more shared memory (docker run --shm-size=…)`;
	return `${name("ring")}: ${shards} rings and ${history} need ${mebibytes}MiB and ${path} has ${free} free; give a smaller --ring, a smaller --history-memory or more shared memory (docker run --shm-size=…)`;
}

/** Security problems of the directory, one line each. */
export function sharedMemoryWarnings(config: Pick<Config, "clusterDirectory">, name: NameOf): string[] {
	const path = config.clusterDirectory;
	const { mode } = statSync(path);
	if ((mode & othersMayWrite) === 0 || (mode & sticky) !== 0) return [];
	return [`${name("clusterDirectory")}: other users may rename and remove what is in ${path}, this cluster too; chmod +t ${path}`];
}

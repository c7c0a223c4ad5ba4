import { accessSync, constants, statfsSync, statSync } from "node:fs";
import { type Config, formatBytes, type NameOf, ringCapacityBytes } from "@shardcast/config";
import { positionFileBytes } from "@shardcast/kafka";
import { RateTable } from "@shardcast/limits";
import { Scoreboard } from "@shardcast/scoreboard";

/** Ring heads, bells, sockets and the like, per shard, with room to spare. */
const perShardBytes = 65_536;

/** A Unix socket's path has 107 bytes at most; ours take up to 56 of them: `/shardcast-<uid>-<pid>-<random>/handoff-<slot>.sock`. */
const pathBytesMax = 107 - 56;

/** tmpfs and ramfs: the rings would go to a disk again and again from any other. */
const memoryFileSystems = [0x01021994, 0x858458f6];

const othersMayWrite = 0o022;
/** Each file may be removed by its owner only, as in /dev/shm. */
const sticky = 0o1000;

/** What is wrong with the place for the shared memory, in one line; null = nothing. */
export function sharedMemoryProblem(config: Config, shards: number, name: NameOf): string | null {
	const path = config.clusterDirectory;
	const fix = "name a writable directory in a memory file system";
	try {
		if (!statSync(path).isDirectory()) return `${name("clusterDirectory")}: ${path} is no directory; ${fix}`;
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
	const positions = config.kafkaBrokers.length > 0 ? positionFileBytes : 0;
	const fixed = Scoreboard.bytes() + RateTable.bytes + positions + config.historyMemoryBytes;
	const needed = fixed + shards * (ringCapacityBytes(config) + perShardBytes);
	if (bavail * bsize >= needed) return null;
	const free = formatBytes(Math.floor((bavail * bsize) / 1024) * 1024);
	const history = `${formatBytes(config.historyMemoryBytes)} of history (${name("historyMemoryBytes")})`;
	return `${name("ring")}: ${shards} rings and ${history} need ${Math.ceil(needed / 1_048_576)}MiB and ${path} has ${free} free; give a smaller --ring, a smaller --history-memory or more shared memory (docker run --shm-size=…)`;
}

/** What is not safe about the place, one line each. */
export function sharedMemoryWarnings(config: Pick<Config, "clusterDirectory">, name: NameOf): string[] {
	const path = config.clusterDirectory;
	const { mode } = statSync(path);
	if ((mode & othersMayWrite) === 0 || (mode & sticky) !== 0) return [];
	return [`${name("clusterDirectory")}: other users may rename and remove what is in ${path}, this cluster too; chmod +t ${path}`];
}

import { join } from "node:path";
import { NativeError, SharedFile } from "@shardcast/native";
import type { LogCapacity } from "@shardcast/wire";
import { LogError, LogErrorCode } from "../log-error.ts";
import { LogLayout } from "./log-descriptor.ts";
import { attachLog, checkedSizes, dataOffsetOf, formatLog, type LogMemory, randomIdentity } from "./log-memory.ts";

/**
 * Creates empty logs of a cluster as files in its directory. Called by the supervisor before any member starts. Reserves memory for the tables
 * only; memory for records is reserved on first use.
 * @throws NativeError ENOSPC when shared memory has no room for the tables, LogError when the tables do not fit into the logs.
 */
export function createLogFiles(directory: string, capacity: LogCapacity): void {
	const sizes = checkedSizes(capacity);
	const tableBytes = dataOffsetOf(sizes);
	const identity = randomIdentity();
	for (let log = 0; log < LogLayout.logs; log++)
		SharedFile.create(pathOf(directory, log), sizes.bytes, (buffer) => formatLog(buffer, identity, sizes, tableBytes), tableBytes).close();
}

/** @throws NativeError or LogError when there are no logs that this program can read. */
export function openLogFiles(directory: string): { readonly memories: readonly LogMemory[]; readonly close: () => void } {
	const files: SharedFile[] = [];
	const close = (): void => {
		for (const file of files) file.close();
	};
	try {
		for (let log = 0; log < LogLayout.logs; log++) files.push(SharedFile.open(pathOf(directory, log)));
		return { memories: files.map((file) => attachLog(file.buffer, (bytes) => isReserved(file, bytes))), close };
	} catch (error) {
		close();
		throw error;
	}
}

/** Creates logs within one process, for a shard that runs alone and for tests. The buffers may be passed to threads. */
export function createLogBuffers(capacity: LogCapacity): SharedArrayBuffer[] {
	const sizes = checkedSizes(capacity);
	const identity = randomIdentity();
	return Array.from({ length: LogLayout.logs }, () => {
		const buffer = new SharedArrayBuffer(sizes.bytes);
		formatLog(buffer, identity, sizes, sizes.bytes);
		return buffer;
	});
}

export function openLogBuffers(buffers: readonly SharedArrayBuffer[]): LogMemory[] {
	if (buffers.length !== LogLayout.logs)
		throw new LogError(LogErrorCode.badArgument, `${buffers.length} logs`, `a cluster has ${LogLayout.logs}`);
	return buffers.map((buffer) => attachLog(buffer));
}

/** False when there is no memory left, or no file descriptor for the call. */
function isReserved(file: SharedFile, bytes: number): boolean {
	try {
		file.reserve(bytes);
		return true;
	} catch (error) {
		if (error instanceof NativeError) return false;
		throw error;
	}
}

function pathOf(directory: string, log: number): string {
	return join(directory, `log-${log}`);
}

import { join } from "node:path";
import { NativeError, SharedFile } from "@shardcast/native";
import { LogLayout } from "./log-descriptor.ts";
import { LogError, LogErrorCode } from "./log-error.ts";
import { attachLog, dataOffsetOf, formatLog, type LogMemory, logSizes, randomIdentity } from "./log-memory.ts";

/** Of each log, when all together take `memoryBytes`. */
function logBytesOf(memoryBytes: number): number {
	return Math.floor(memoryBytes / LogLayout.logs / LogLayout.lineBytes) * LogLayout.lineBytes;
}

/**
 * Makes the logs of a cluster, empty, as files in its directory. For the supervisor, before any member starts. Only what they need at once
 * is reserved; the rest, where records go, when it is first used.
 * @param memoryBytes of all logs together.
 * @throws NativeError ENOSPC when shared memory has no room even for that.
 */
export function createLogFiles(directory: string, memoryBytes: number): void {
	const bytes = logBytesOf(memoryBytes);
	const tableBytes = dataOffsetOf(logSizes(bytes));
	const identity = randomIdentity();
	for (let log = 0; log < LogLayout.logs; log++)
		SharedFile.create(pathOf(directory, log), bytes, (buffer) => formatLog(buffer, identity, tableBytes), tableBytes).close();
}

/** @throws NativeError or LogError when there are none that this program can read. */
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

/** Logs within one process, for a shard without siblings and for tests; `buffers` may be handed to threads. */
export function createLogBuffers(memoryBytes: number): SharedArrayBuffer[] {
	const bytes = logBytesOf(memoryBytes);
	logSizes(bytes);
	const identity = randomIdentity();
	return Array.from({ length: LogLayout.logs }, () => {
		const buffer = new SharedArrayBuffer(bytes);
		formatLog(buffer, identity, bytes);
		return buffer;
	});
}

export function openLogBuffers(buffers: readonly SharedArrayBuffer[]): LogMemory[] {
	if (buffers.length !== LogLayout.logs)
		throw new LogError(LogErrorCode.badArgument, `${buffers.length} logs`, `a cluster has ${LogLayout.logs}`);
	return buffers.map((buffer) => attachLog(buffer));
}

/** False when there is no memory left, or no descriptor for the moment that it takes. */
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

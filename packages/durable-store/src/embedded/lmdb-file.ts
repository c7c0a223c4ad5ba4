import { accessSync, closeSync, constants, existsSync, fstatSync, mkdirSync, openSync, readSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { RootDatabase } from "lmdb";
import { StoreError, StoreErrorCode } from "../store-error.ts";

/** The library takes about 30 ms of CPU to load, so that only a process that opens a store loads it. */
const lmdb = () => createRequire(import.meta.url)("lmdb") as typeof import("lmdb");

const magic = 0xbeefc0de;
/** Offsets in each of the two meta pages. */
const meta = { magicOffset: 24, pageSizeOffset: 48, lastPageOffset: 144 } as const;
const databases = 8;

/**
 * Opens the file of a store. Creates folder and file if they do not exist. Any number of processes may open it. A write is on the disk when
 * its promise resolves.
 * @throws StoreError
 */
export function openStoreFile(folder: string): RootDatabase<Buffer, string[]> {
	try {
		mkdirSync(folder, { recursive: true, mode: 0o700 });
		accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
	} catch (error) {
		throw unwritable(folder, error);
	}
	const file = join(folder, "data.mdb");
	checkWhole(file, folder);
	const { open } = lmdb();
	try {
		return open<Buffer, string[]>({ path: folder, noSubdir: false, maxDbs: databases, encoding: "binary", overlappingSync: false });
	} catch (error) {
		const { message } = error as Error;
		if (/EACCES|EROFS|Permission denied|Read-only|No space/i.test(message)) throw unwritable(folder, error);
		throw damaged(file, message, error);
	}
}

function unwritable(folder: string, error: unknown): StoreError {
	const { code, message } = error as NodeJS.ErrnoException;
	return new StoreError(
		StoreErrorCode.folder,
		`the folder of the durable store, ${folder}, cannot be used (${code ?? message})`,
		"set channel.durable_store.path to a folder on a local disk that has free space and that this user may write to",
		error,
	);
}

function damaged(file: string, what: string, error?: unknown): StoreError {
	return new StoreError(
		StoreErrorCode.damaged,
		`the durable store ${file} cannot be read: ${what}`,
		"restore it from a backup, or move it away: then history and acknowledged positions start empty",
		error,
	);
}

/** Checks that the file is complete. It is mapped into memory, so a missing page would end the process instead of raising an error. */
function checkWhole(file: string, folder: string): void {
	if (!existsSync(file)) return;
	let fd: number;
	try {
		fd = openSync(file, "r+");
	} catch (error) {
		throw unwritable(folder, error);
	}
	try {
		const { size } = fstatSync(fd);
		// Just created by another process.
		if (size === 0) return;
		const first = Buffer.alloc(256);
		readSync(fd, first, 0, first.length, 0);
		if (first.readUInt32LE(meta.magicOffset) !== magic) throw damaged(file, "it is not an LMDB file");
		const pageSize = first.readUInt32LE(meta.pageSizeOffset);
		if (pageSize < 512 || pageSize > 65_536 || size < 2 * pageSize) throw damaged(file, "its head is cut off");
		const second = Buffer.alloc(256);
		readSync(fd, second, 0, second.length, pageSize);
		const lastPage = Math.max(...[first, second].map((page) => Number(page.readBigUInt64LE(meta.lastPageOffset))));
		const least = (lastPage + 1) * pageSize;
		if (size < least) throw damaged(file, `it has ${size} bytes of ${least}`);
	} finally {
		closeSync(fd);
	}
}

import { accessSync, constants, mkdirSync, statSync } from "node:fs";
import module from "node:module";
import { join } from "node:path";

/** Beside the program, so that nobody can write to it who cannot change the program as well: Node runs what it finds there. */
const ownFolder = join(import.meta.dirname, "../dist/compile-cache");

/**
 * From the second start on, Node takes the code of this process and of those that it starts as compiled by the first. Where the folder cannot
 * be written to, or Node is older than 22.8, each start compiles.
 * @param folder unless NODE_COMPILE_CACHE says otherwise.
 */
export function useCompileCache(folder = ownFolder): void {
	if (process.env.NODE_COMPILE_CACHE === undefined) {
		if (!isWritable(folder)) return;
		process.env.NODE_COMPILE_CACHE = folder;
	}
	const { enableCompileCache } = module as { enableCompileCache?: (directory: string) => unknown };
	enableCompileCache?.(process.env.NODE_COMPILE_CACHE);
}

/** Not left to Node, which makes the folders above as well, and tries for ever where the file system refuses with ENOENT. */
function isWritable(folder: string): boolean {
	try {
		if (statSync(folder, { throwIfNoEntry: false }) === undefined) mkdirSync(folder);
		accessSync(folder, constants.W_OK);
		return true;
	} catch {
		return false;
	}
}

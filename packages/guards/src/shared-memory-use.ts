import { lstatSync, readdirSync, statfsSync } from "node:fs";
import { join } from "node:path";

/** What `statfs` tells of a file system. */
type Measure = (folder: string) => { readonly blocks: number; readonly bfree: number; readonly bsize: number };

/**
 * How much of the room in shared memory others use, in percent of what this cluster's files leave: its own are reserved from the start, and may fill
 * the 64 MB of a container by design.
 */
export class SharedMemoryUse {
	readonly #folder: string;
	readonly #measure: Measure;
	/** Blocks that were free when the own files were counted. While it stays the same, nothing was added or removed. */
	#countedFree = Number.NaN;
	#ownBytes = 0;

	/** @param folder of this cluster's files. @param measure replaces `statfs` in tests. */
	constructor(folder: string, measure: Measure = (path) => statfsSync(path)) {
		this.#folder = folder;
		this.#measure = measure;
	}

	/** Null if unknown. Never throws. */
	read(): number | null {
		try {
			const { blocks, bfree, bsize } = this.#measure(this.#folder);
			// Files of shards that were just added must not pass for those of others.
			if (bfree !== this.#countedFree) this.#ownBytes = bytesIn(this.#folder);
			this.#countedFree = bfree;
			const roomBytes = blocks * bsize - this.#ownBytes;
			const othersBytes = (blocks - bfree) * bsize - this.#ownBytes;
			// A file system without a size has no limit.
			return roomBytes > 0 ? Math.max(0, (100 * othersBytes) / roomBytes) : null;
		} catch {
			return null;
		}
	}
}

function bytesIn(folder: string): number {
	return readdirSync(folder).reduce((sum, name) => sum + lstatSync(join(folder, name)).blocks * 512, 0);
}

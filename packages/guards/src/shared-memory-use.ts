import { lstatSync, readdirSync, statfsSync } from "node:fs";
import { join } from "node:path";

/** Looks between countings of the own files, which change rarely. */
const countedEvery = 10;

/**
 * How much of the room in shared memory others use, in percent of what this cluster's files leave: its own are reserved from the start, and may fill
 * the 64 MB of a container by design.
 */
export class SharedMemoryUse {
	readonly #folder: string;
	#looks = 0;
	#ownBytes = 0;

	/** @param folder of this cluster's files. */
	constructor(folder: string) {
		this.#folder = folder;
	}

	/** Null if unknown. Never throws. */
	read(): number | null {
		try {
			const { blocks, bfree, bsize } = statfsSync(this.#folder);
			if (this.#looks++ % countedEvery === 0) this.#ownBytes = bytesIn(this.#folder);
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

import { readFileSync } from "node:fs";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** The epoch of the list in Redis from which the list on disk comes: the file `revocations.epoch` next to it. Without it, both lists are merged after a restart. */
export class KnownEpoch {
	readonly #folder: string;
	readonly #path: string;

	/** @param folder "" = nothing is on disk. */
	constructor(folder: string) {
		this.#folder = folder;
		this.#path = join(folder, "revocations.epoch");
	}

	/** Null = unknown. */
	read(): string | null {
		if (this.#folder === "") return null;
		try {
			return readFileSync(this.#path, "utf8");
		} catch {
			// The first start, or an unreadable file: both lists are merged.
			return null;
		}
	}

	async write(epoch: string): Promise<void> {
		if (this.#folder === "") return;
		await mkdir(this.#folder, { recursive: true, mode: 0o700 });
		await writeFile(`${this.#path}.new`, epoch, { mode: 0o600 });
		await rename(`${this.#path}.new`, this.#path);
	}
}

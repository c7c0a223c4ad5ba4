import { readFileSync } from "node:fs";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";

/**
 * The position of the list in Redis of which the list on disk is a copy: the file `revocations.position` next to it. Without it, both lists are merged
 * after a restart.
 */
export class KnownPosition {
	readonly #folder: string;
	readonly #path: string;

	/** @param folder "" = nothing is on disk. */
	constructor(folder: string) {
		this.#folder = folder;
		this.#path = join(folder, "revocations.position");
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

	async write(position: string): Promise<void> {
		if (this.#folder === "") return;
		await mkdir(this.#folder, { recursive: true, mode: 0o700 });
		await writeFile(`${this.#path}.new`, position, { mode: 0o600 });
		await rename(`${this.#path}.new`, this.#path);
	}
}

import { readFileSync } from "node:fs";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** Which list in Redis the list on the disk comes from: the file `revocations.epoch` beside it. Without it, after a restart, both lists are put together. */
export class KnownEpoch {
	readonly #folder: string;
	readonly #path: string;

	/** @param folder "" = nothing is on the disk. */
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
			// The first start, or a file that cannot be read: both lists count.
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

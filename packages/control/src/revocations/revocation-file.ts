import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { open, rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Log } from "@shardcast/telemetry";
import type { Revocation, RevocationKind } from "./revocations.ts";

/** The addition or removal of a revocation. */
export type RevocationChange = { readonly add: Revocation } | { readonly remove: { readonly kind: RevocationKind; readonly id: string } };

interface RevocationFileParts {
	/** Created if it does not exist. */
	readonly folder: string;
	readonly log: Pick<Log, "error">;
	/** Number of revocations in effect. */
	readonly count: () => number;
	/** Revocations in effect. The file is rewritten with them when most of its lines are obsolete. */
	readonly list: () => readonly Revocation[];
}

const head = "shardcast revocations 1";
const checksumLength = 16;
/** Number of obsolete lines tolerated before the file is rewritten. */
const slack = 1000;
/** Longest valid file: 100,000 entries with the longest ids take 150 MB, and it grows to twice as much before it is rewritten. */
const fileBytesMax = 400 * 1024 * 1024;

/**
 * Stores changes in the file `revocations`, one line with a checksum each. A change is on disk when `write` has resolved. Owned by the process that
 * has the list. Concurrent changes share a write.
 */
export class RevocationFile {
	readonly path: string;
	readonly #parts: RevocationFileParts;
	readonly #waiting: string[] = [];
	/** Settles after all writes so far. */
	#last: Promise<void> = Promise.resolve();
	/** The write that has not started. */
	#next: Promise<void> | null = null;
	#lines = 0;
	#isWhole = true;
	/** Why the file could not be read, and so must not be written. */
	#problem: string | null = null;

	constructor(parts: RevocationFileParts) {
		this.#parts = parts;
		this.path = join(parts.folder, "revocations");
	}

	/** Returns the changes in the file, in order. Never throws: problems are logged. Call once, first. */
	load(): readonly RevocationChange[] {
		let text: string;
		try {
			mkdirSync(this.#parts.folder, { recursive: true, mode: 0o700 });
		} catch (error) {
			// Whatever opens the durable store in this folder says so in one line, and the start fails.
			this.#problem = `${this.#parts.folder} cannot be used (${(error as NodeJS.ErrnoException).code})`;
			return [];
		}
		try {
			if ((statSync(this.path, { throwIfNoEntry: false })?.size ?? 0) > fileBytesMax)
				throw new Error(`it is longer than ${fileBytesMax} bytes`);
			text = readFileSync(this.path, "utf8");
		} catch (error) {
			const { code, message } = error as NodeJS.ErrnoException;
			if (code === "ENOENT") {
				this.#isWhole = false;
				return [];
			}
			this.#problem = `${this.path} cannot be read (${code ?? message})`;
			this.#parts.log.error(
				{ error },
				`${this.#problem}: users and tokens that were refused are let in; repair it or move it away, and restart`,
			);
			return [];
		}
		return this.#changesIn(text);
	}

	/** Writes a change. Rejects if it is not on disk. */
	write(change: RevocationChange): Promise<void> {
		this.#waiting.push(lineOf(JSON.stringify(change)));
		return this.#soon();
	}

	/** Resolves when all writes so far are on disk or have failed. */
	async settled(): Promise<void> {
		await this.#last;
	}

	#changesIn(text: string): readonly RevocationChange[] {
		const lines = text.split("\n");
		// A last line without a line break was truncated before its change was acknowledged.
		const torn = lines.pop();
		const hasHead = lines.shift() === head;
		const changes = lines.map(changeIn);
		const good = changes.filter((change) => change !== null);
		const bad = changes.length - good.length + (hasHead ? 0 : 1);
		this.#lines = lines.length;
		if (bad > 0) this.#reportDamage(bad, good.length);
		if (bad > 0 || torn !== "") {
			this.#isWhole = false;
			// After the caller has taken the changes.
			queueMicrotask(() => void this.#soon().catch((error) => this.#parts.log.error({ error }, `${this.path} could not be written again`)));
		}
		return good;
	}

	#reportDamage(bad: number, good: number): void {
		const copy = `${this.path}.damaged`;
		let where = `a copy is in ${copy}`;
		try {
			copyFileSync(this.path, copy);
		} catch (error) {
			where = `no copy could be made (${(error as Error).message})`;
		}
		this.#parts.log.error(
			{ bad, good },
			`${this.path} is damaged: ${bad} lines cannot be read, ${good} can. Users and tokens of the lines that are lost are let in; block and revoke them again. The file is written again without these lines; ${where}`,
		);
	}

	#soon(): Promise<void> {
		if (this.#next === null) {
			this.#next = this.#last.then(() => this.#writeWaiting());
			this.#last = this.#next.catch(() => {});
		}
		return this.#next;
	}

	async #writeWaiting(): Promise<void> {
		this.#next = null;
		const lines = this.#waiting.splice(0);
		if (this.#problem !== null) throw new Error(this.#problem);
		const isLong = this.#lines + lines.length > slack + 2 * this.#parts.count();
		if (!this.#isWhole || isLong) {
			await this.#writeAgain(this.#parts.list());
			return;
		}
		// A failed write may have left part of a line.
		this.#isWhole = false;
		await writeAndSync(this.path, "a", lines.join(""));
		this.#lines += lines.length;
		this.#isWhole = true;
	}

	async #writeAgain(list: readonly Revocation[]): Promise<void> {
		const next = `${this.path}.new`;
		await writeAndSync(next, "w", [`${head}\n`, ...list.map((add) => lineOf(JSON.stringify({ add })))].join(""));
		await rename(next, this.path);
		await syncFolder(dirname(this.path));
		this.#lines = list.length;
		this.#isWhole = true;
	}
}

const checksumOf = (json: string): string => createHash("sha256").update(json).digest("hex").slice(0, checksumLength);
const lineOf = (json: string): string => `${checksumOf(json)} ${json}\n`;

/** Null for a damaged line. */
function changeIn(line: string): RevocationChange | null {
	const json = line.slice(checksumLength + 1);
	if (line[checksumLength] !== " " || line.slice(0, checksumLength) !== checksumOf(json)) return null;
	return JSON.parse(json) as RevocationChange;
}

async function writeAndSync(path: string, flags: string, text: string): Promise<void> {
	const file = await open(path, flags, 0o600);
	try {
		await file.writeFile(text);
		await file.datasync();
	} finally {
		await file.close();
	}
}

/** Makes sure that the new name is on disk, too. */
async function syncFolder(path: string): Promise<void> {
	const folder = await open(path, "r");
	try {
		await folder.sync();
	} finally {
		await folder.close();
	}
}

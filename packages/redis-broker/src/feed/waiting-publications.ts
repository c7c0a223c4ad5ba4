import type { Announcement } from "./announcement.ts";

/** Limit on what waits in a feeder. What does not fit is read from the stream later. */
const bytesMax = 16 * 1024 * 1024;
/** What a publication costs in memory besides its bytes. */
const overheadBytes = 256;
/** The array is trimmed when it has this many taken entries at its start. */
const compactAt = 1024;

/** Bytes that wait, of all channels of a feeder. */
export class WaitingBytes {
	#bytes = 0;

	/** @returns false when there is no room. */
	add({ bytes }: Announcement): boolean {
		if (this.#bytes + bytes.length + overheadBytes > bytesMax) return false;
		this.#bytes += bytes.length + overheadBytes;
		return true;
	}

	remove({ bytes }: Announcement): void {
		this.#bytes -= bytes.length + overheadBytes;
	}
}

/** Publications of a channel that pub/sub has delivered and the log does not have yet, in order of arrival. */
export class WaitingPublications {
	readonly #bytes: WaitingBytes;
	#publications: Announcement[] = [];
	#first = 0;

	constructor(bytes: WaitingBytes) {
		this.#bytes = bytes;
	}

	/** The oldest; null = none waits. */
	get next(): Announcement | null {
		return this.#publications[this.#first] ?? null;
	}

	/** @returns false when there is no room. */
	add(publication: Announcement): boolean {
		if (!this.#bytes.add(publication)) return false;
		this.#publications.push(publication);
		return true;
	}

	/** Removes the oldest. */
	shift(): void {
		this.#bytes.remove(this.#publications[this.#first++]!);
		if (this.#first < compactAt && this.#first < this.#publications.length) return;
		this.#publications = this.#publications.slice(this.#first);
		this.#first = 0;
	}

	clear(): void {
		while (this.next !== null) this.shift();
	}
}

import { closeSync, openSync, readSync } from "node:fs";

/** Lines of the file up to the one that we look for take less. */
const headBytes = 2048;

/**
 * Resident memory of this process. `process.memoryUsage.rss()` opens a file for each reading and throws when the process may open no more;
 * so the file is opened once and read again and again, which works without a free descriptor. One per process; it takes one descriptor.
 *
 * Cost of a reading: one system call, about 20 µs.
 */
export class ResidentMemory {
	readonly #fd: number | null;
	readonly #bytes = Buffer.allocUnsafe(headBytes);
	#last = 0;

	/** @param path of the process's status file; where it cannot be opened, Node is asked. */
	constructor(path = "/proc/self/status") {
		this.#fd = open(path);
	}

	/** In bytes. When it cannot be read, as it was last. Never throws. */
	read(): number {
		try {
			this.#last = (this.#fd === null ? null : this.#readStatus(this.#fd)) ?? process.memoryUsage.rss();
		} catch {
			// Out of descriptors or not allowed: a measurement is no reason to fail.
		}
		return this.#last;
	}

	close(): void {
		if (this.#fd !== null) closeSync(this.#fd);
	}

	#readStatus(fd: number): number | null {
		const length = readSync(fd, this.#bytes, 0, headBytes, 0);
		const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(this.#bytes.toString("latin1", 0, length))?.[1];
		return kilobytes === undefined ? null : Number(kilobytes) * 1024;
	}
}

function open(path: string): number | null {
	try {
		return openSync(path, "r");
	} catch {
		return null;
	}
}

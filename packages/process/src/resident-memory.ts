import { closeSync, openSync, readSync } from "node:fs";

/** Upper bound on the bytes before the line that is needed. */
const headBytes = 2048;

/**
 * Resident memory of this process. `process.memoryUsage.rss()` opens a file on each call and throws when there are no free descriptors. Here the
 * file is opened once and read repeatedly. One per process; uses one descriptor.
 *
 * Reading takes one system call, about 20 µs.
 */
export class ResidentMemory {
	readonly #fd: number | null;
	readonly #bytes = Buffer.allocUnsafe(headBytes);
	#last = 0;

	/** @param path of the process's status file. If it cannot be opened, Node's function is used. */
	constructor(path = "/proc/self/status") {
		this.#fd = open(path);
	}

	/** Bytes; the last known value if reading fails. Never throws. */
	read(): number {
		try {
			this.#last = (this.#fd === null ? null : this.#readStatus(this.#fd)) ?? process.memoryUsage.rss();
		} catch {
			// No free descriptors, or not allowed: a measurement is no reason to fail.
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

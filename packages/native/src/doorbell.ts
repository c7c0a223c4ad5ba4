import { closeSync, constants, openSync, writeSync } from "node:fs";
import { Socket } from "node:net";
import { Linux } from "./constants.ts";
import { libc } from "./libc.ts";
import { NativeError } from "./native-error.ts";
import { requireOwn, safeOpenFlags } from "./own-file.ts";

/**
 * A doorbell between processes: a FIFO that wakes the listener's event loop. It carries no message, and several rings may cause a single
 * wake-up.
 *
 * One listener, any number of ringers. Both sides open it for reading and writing, so the death of one does not affect the other, and a
 * restarted listener continues with the same file. Ringing a full FIFO does nothing, since it has been rung already.
 */
export class Doorbell {
	readonly path: string;
	#socket: Socket | null = null;

	private constructor(path: string) {
		this.path = path;
	}

	/** Creates the FIFO, mode 0600, unless it exists. */
	static create(path: string): Doorbell {
		if (libc().mkfifo(path, 0o600) === -1) {
			const errno = libc().errno();
			if (errno !== Linux.EEXIST) throw NativeError.fromErrno(errno, "mkfifo", path);
		}
		return new Doorbell(path);
	}

	/** Opens a bell that another process has created, to listen to it. */
	static open(path: string): Doorbell {
		return new Doorbell(path);
	}

	static ringer(path: string): DoorbellRinger {
		return new DoorbellRinger(path);
	}

	/** Calls `onRing` after one or more rings, on this thread's event loop. Keeps the loop alive until `close`. */
	listen(onRing: () => void): void {
		if (this.#socket !== null) throw new Error(`${this.path} already has a listener`);
		const fd = openFifo(this.path);
		// A fixed buffer: otherwise Node allocates 64 KiB for every read.
		const onread = {
			buffer: new Uint8Array(4096),
			callback: () => {
				onRing();
				return true;
			},
		};
		this.#socket = new Socket({ fd, readable: true, writable: false, onread } as ConstructorParameters<typeof Socket>[0]);
	}

	close(): void {
		this.#socket?.destroy();
		this.#socket = null;
	}
}

/** The ringing end of a `Doorbell`. */
export class DoorbellRinger {
	readonly #fd: number;
	#open = true;
	readonly #byte = new Uint8Array(1);

	/** @throws NativeError ENOENT when the bell does not exist. */
	constructor(path: string) {
		this.#fd = openFifo(path);
	}

	/** Rings. One system call; never blocks. */
	ring(): void {
		try {
			writeSync(this.#fd, this.#byte, 0, 1);
		} catch (error) {
			if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
		}
	}

	close(): void {
		if (!this.#open) return;
		this.#open = false;
		closeSync(this.#fd);
	}
}

function openFifo(path: string): number {
	let fd: number;
	try {
		fd = openSync(path, constants.O_RDWR | safeOpenFlags);
	} catch (error) {
		throw NativeError.fromErrno(-((error as NodeJS.ErrnoException).errno ?? 0), "open", path);
	}
	try {
		requireOwn(fd, path, "fifo");
		return fd;
	} catch (error) {
		closeSync(fd);
		throw error;
	}
}

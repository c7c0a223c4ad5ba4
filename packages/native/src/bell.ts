import { closeSync, constants, openSync, writeSync } from "node:fs";
import { Socket } from "node:net";
import { Linux } from "./constants.ts";
import { libc } from "./libc.ts";
import { NativeError } from "./native-error.ts";
import { openWarily, requireOwn } from "./own-file.ts";

/**
 * A doorbell between processes: a FIFO of which the listener's event loop hears when a byte comes. It carries no
 * message, only "look"; several rings may be heard as one.
 *
 * One listener, any number of ringers. Both sides open it for reading and writing, so neither's death is seen by, or
 * hurts, the other; a restarted listener goes on with the same file. When the FIFO is full it has been rung: a ring that
 * finds it so does nothing.
 */
export class Bell {
	readonly path: string;
	#socket: Socket | null = null;

	private constructor(path: string) {
		this.path = path;
	}

	/** Makes the FIFO, mode 0600, unless it is there. */
	static create(path: string): Bell {
		if (libc().mkfifo(path, 0o600) === -1) {
			const errno = libc().errno();
			if (errno !== Linux.EEXIST) throw NativeError.fromErrno(errno, "mkfifo", path);
		}
		return new Bell(path);
	}

	/** For a process that listens to a bell which another one made. */
	static open(path: string): Bell {
		return new Bell(path);
	}

	static ringer(path: string): BellRinger {
		return new BellRinger(path);
	}

	/** Calls back once for one or more rings, on this thread's event loop, which it keeps alive until `close`. */
	listen(onRing: () => void): void {
		if (this.#socket !== null) throw new Error(`${this.path} is being listened to already`);
		const fd = openFifo(this.path);
		// Our own buffer: without it, Node allocates 64 KiB for every read.
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

/** The other end of a `Bell`. */
export class BellRinger {
	readonly #fd: number;
	#open = true;
	readonly #byte = new Uint8Array(1);

	/** @throws NativeError ENOENT when there is no such bell. */
	constructor(path: string) {
		this.#fd = openFifo(path);
	}

	/** One system call, never blocks. */
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
		fd = openSync(path, constants.O_RDWR | openWarily);
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

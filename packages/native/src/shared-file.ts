import { closeSync, constants, ftruncateSync, openSync, renameSync, rmSync, unlinkSync } from "node:fs";
import { Linux } from "./constants.ts";
import { libc, throwErrno } from "./libc.ts";
import { NativeError } from "./native-error.ts";
import { requireOwn, safeOpenFlags } from "./own-file.ts";

/**
 * A file mapped into memory, shared by every process that opens it.
 *
 * Its memory is reserved at creation, or by `reserve` before it is used, so that a full /dev/shm is an error here and never a SIGBUS later.
 * It gets its name only when it is complete, so no process can map an incomplete file.
 */
export class SharedFile {
	readonly path: string;
	readonly buffer: ArrayBuffer;
	readonly bytes: number;
	#address: number;

	private constructor(path: string, bytes: number, address: number) {
		this.path = path;
		this.bytes = bytes;
		this.#address = address;
		this.buffer = libc().view(address, bytes);
	}

	/**
	 * Creates the file, zeroed, mode 0600. Replaces an existing file.
	 * @param format fills it in before it gets its name.
	 * @param reservedBytes bytes from the start for which memory is reserved now. The rest must not be accessed, not even read, before `reserve`.
	 * @throws NativeError ENOSPC when the file system does not have enough room.
	 */
	static create(path: string, bytes: number, format?: (buffer: ArrayBuffer) => void, reservedBytes: number = bytes): SharedFile {
		libc();
		const temporary = `${path}.${process.pid}.new`;
		let file: SharedFile | undefined;
		try {
			rmSync(temporary, { force: true });
			const fd = open(temporary, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, path);
			try {
				ftruncateSync(fd, bytes);
				reserve(fd, reservedBytes, path);
				file = new SharedFile(path, bytes, map(fd, bytes, path));
			} finally {
				closeSync(fd);
			}
			format?.(file.buffer);
			renameSync(temporary, path);
			return file;
		} catch (error) {
			file?.close();
			rmSync(temporary, { force: true });
			throw error;
		}
	}

	/** @throws NativeError ENOENT when the file does not exist, EACCES when it belongs to another user or is accessible to others. */
	static open(path: string): SharedFile {
		libc();
		const fd = open(path, constants.O_RDWR | safeOpenFlags, path);
		try {
			const bytes = requireOwn(fd, path, "file").size;
			if (bytes === 0) throw new NativeError("EINVAL", "mmap", `${path} is empty`, "remove it and start the cluster again");
			return new SharedFile(path, bytes, map(fd, bytes, path));
		} finally {
			closeSync(fd);
		}
	}

	/**
	 * Reserves memory for the first `bytes` bytes. Does not change the contents. Needs a free descriptor during the call.
	 * @throws NativeError ENOSPC when the file system does not have enough room.
	 */
	reserve(bytes: number): void {
		const fd = open(this.path, constants.O_RDWR | safeOpenFlags, this.path);
		try {
			reserve(fd, bytes, this.path);
		} finally {
			closeSync(fd);
		}
	}

	/**
	 * Unmaps the file. Accessing the buffer or a view of it afterwards kills the process. May be called again.
	 */
	close(): void {
		if (this.#address === 0) return;
		libc().munmap(this.#address, this.bytes);
		this.#address = 0;
	}

	/** Removes the name. Processes that have the file mapped keep it. */
	unlink(): void {
		try {
			unlinkSync(this.path);
		} catch (error) {
			throw fromSystemError(error, this.path);
		}
	}
}

function reserve(fd: number, bytes: number, path: string): void {
	const errno = libc().posix_fallocate(fd, 0, bytes);
	if (errno !== 0) throw NativeError.fromErrno(errno, "posix_fallocate", `reserving ${bytes} bytes for ${path}`);
}

function map(fd: number, bytes: number, path: string): number {
	const address = libc().mmap(0, bytes, Linux.PROT_READ_WRITE, Linux.MAP_SHARED, fd, 0);
	if (address === -1) throwErrno("mmap", path);
	return address;
}

function open(path: string, flags: number, subject: string): number {
	try {
		return openSync(path, flags, 0o600);
	} catch (error) {
		throw fromSystemError(error, subject);
	}
}

function fromSystemError(error: unknown, subject: string): unknown {
	const { errno, syscall } = error as NodeJS.ErrnoException;
	return errno === undefined ? error : NativeError.fromErrno(-errno, syscall ?? "open", subject);
}

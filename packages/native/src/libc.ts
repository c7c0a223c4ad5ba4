import { createRequire } from "node:module";
import { NativeError } from "./native-error.ts";
import { type SocketLayout, socketLayout } from "./socket-layout.ts";

/** The C library functions used here, and helpers of koffi. `bytes`, `offset` and pointers are 64 bits wide. */
interface Libc {
	mmap(address: number, bytes: number, protection: number, flags: number, fd: number, offset: number): number;
	munmap(address: number, bytes: number): number;
	/** Returns the error number itself; `errno` is not set. */
	posix_fallocate(fd: number, offset: number, bytes: number): number;
	socket(domain: number, type: number, protocol: number): number;
	socketpair(domain: number, type: number, protocol: number, pair: Int32Array): number;
	dup3(from: number, to: number, flags: number): number;
	bind(fd: number, address: Buffer, addressBytes: number): number;
	sendmsg(fd: number, message: Buffer, flags: number): number;
	recvmsg(fd: number, message: Buffer, flags: number): number;
	getpeername(fd: number, address: Uint8Array, addressBytes: Uint32Array): number;
	accept4(fd: number, address: null, addressBytes: null, flags: number): number;
	poll(descriptors: Int32Array, count: number, timeoutMs: number): number;
	recv(fd: number, into: Uint8Array, bytes: number, flags: number): number;
	send(fd: number, from: Uint8Array, bytes: number, flags: number): number;
	setsockopt(fd: number, level: number, option: number, value: Int32Array, valueBytes: number): number;
	getsockopt(fd: number, level: number, option: number, value: Int32Array, valueBytes: Uint32Array): number;
	fcntl(fd: number, command: number, argument: number): number;
	ioctl(fd: number, request: number, value: Int32Array): number;
	close(fd: number): number;
	mkfifo(path: string, mode: number): number;
	adjtimex(clock: Uint8Array): number;
	prctl(operation: number, argument2: number, argument3: number, argument4: number, argument5: number): number;

	/** The error number of the last call, if it failed. */
	errno(): number;
	/** An ArrayBuffer over foreign memory, without a copy. */
	view(address: number, bytes: number): ArrayBuffer;
	/** Address of a buffer. Keep the buffer alive and unmoved while the address is in use. */
	address(buffer: Uint8Array): bigint;
	readonly sockets: SocketLayout;
}

type NativeSupport = { readonly available: true } | { readonly available: false; readonly reason: string };

/** Architectures on which constants and struct layouts were checked. Both are 64-bit and little-endian. */
const architectures: readonly string[] = ["x64", "arm64"];

let loaded: Libc | { readonly reason: string } | undefined;

/** Whether this package works on this machine, and if not, why. Never throws; the result does not change. */
export function nativeSupport(): NativeSupport {
	loaded ??= load();
	return "reason" in loaded ? { available: false, reason: loaded.reason } : { available: true };
}

/** @throws NativeError ENOSYS if `nativeSupport()` is not available. */
export function libc(): Libc {
	loaded ??= load();
	if ("reason" in loaded) throw new NativeError("ENOSYS", "load", loaded.reason, "use Linux on x64 or arm64, or run with --lb-mode proxy");
	return loaded;
}

export function throwErrno(syscall: string, subject = ""): never {
	throw NativeError.fromErrno(libc().errno(), syscall, subject);
}

function load(): Libc | { reason: string } {
	if (process.platform !== "linux") return { reason: `needs Linux, this is ${process.platform}` };
	if (!architectures.includes(process.arch)) return { reason: `needs ${architectures.join(" or ")}, this is ${process.arch}` };
	try {
		return bind(createRequire(import.meta.url)("koffi") as typeof import("koffi"));
	} catch (error) {
		return { reason: `koffi does not load: ${error instanceof Error ? error.message : String(error)}` };
	}
}

function bind(koffi: typeof import("koffi")): Libc {
	// null = the process itself: Node has already loaded the C library (glibc or musl).
	const library = koffi.load(null);
	const sockets = socketLayout(koffi);
	return {
		mmap: library.func("intptr_t mmap(intptr_t address, size_t bytes, int protection, int flags, int fd, int64_t offset)"),
		munmap: library.func("int munmap(intptr_t address, size_t bytes)"),
		posix_fallocate: library.func("int posix_fallocate(int fd, int64_t offset, int64_t bytes)"),
		socket: library.func("int socket(int domain, int type, int protocol)"),
		socketpair: library.func("int socketpair(int domain, int type, int protocol, void *pair)"),
		dup3: library.func("int dup3(int from, int to, int flags)"),
		bind: library.func("int bind(int fd, void *address, uint32_t bytes)"),
		sendmsg: library.func("int64_t sendmsg(int fd, void *message, int flags)"),
		recvmsg: library.func("int64_t recvmsg(int fd, void *message, int flags)"),
		getpeername: library.func("int getpeername(int fd, void *address, void *addressBytes)"),
		accept4: library.func("int accept4(int fd, void *address, void *addressBytes, int flags)"),
		poll: library.func("int poll(void *descriptors, unsigned long count, int timeoutMs)"),
		recv: library.func("int64_t recv(int fd, void *into, size_t bytes, int flags)"),
		send: library.func("int64_t send(int fd, void *from, size_t bytes, int flags)"),
		setsockopt: library.func("int setsockopt(int fd, int level, int option, void *value, uint32_t bytes)"),
		getsockopt: library.func("int getsockopt(int fd, int level, int option, void *value, void *valueBytes)"),
		// fcntl, ioctl and prctl are variadic in C. On both architectures Linux passes variadic arguments like others.
		fcntl: library.func("int fcntl(int fd, int command, long argument)"),
		ioctl: library.func("int ioctl(int fd, unsigned long request, void *value)"),
		close: library.func("int close(int fd)"),
		mkfifo: library.func("int mkfifo(const char *path, uint32_t mode)"),
		adjtimex: library.func("int adjtimex(void *clock)"),
		prctl: library.func("int prctl(int operation, unsigned long a, unsigned long b, unsigned long c, unsigned long d)"),
		errno: () => koffi.errno(),
		view: (address, bytes) => koffi.view(address, bytes),
		address: (buffer) => koffi.address(buffer),
		sockets,
	};
}

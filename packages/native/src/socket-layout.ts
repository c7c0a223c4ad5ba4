/**
 * The structs of `sendmsg` and `recvmsg`. koffi computes the layout of this machine's C compiler.
 *
 * ```
 * msghdr   name* | name bytes u32 | iov* | iov count | control* | control bytes | flags i32        56 bytes
 * iovec    base* | bytes                                                                           16
 * cmsghdr  bytes (header and data) | level i32 | type i32                                          16, then the descriptors, i32 each
 * sockaddr family u16 | path, 108 bytes, NUL-terminated                                            110
 * ```
 * On 64-bit Linux they are the same for glibc and musl, x64 and arm64. The sizes are checked on creation.
 */
export interface SocketLayout {
	readonly messageBytes: number;
	readonly messageName: number;
	readonly messageNameBytes: number;
	readonly messageVectors: number;
	readonly messageVectorCount: number;
	readonly messageControl: number;
	readonly messageControlBytes: number;
	readonly messageFlags: number;
	readonly vectorBytes: number;
	readonly vectorBase: number;
	readonly vectorLength: number;
	readonly controlHeaderBytes: number;
	readonly controlLength: number;
	readonly controlLevel: number;
	readonly controlType: number;
	readonly addressBytes: number;
	readonly addressPath: number;
}

/** Longest path of a Unix socket, without the terminating NUL. */
export const socketPathBytesMax = 107;

export function socketLayout(koffi: typeof import("koffi")): SocketLayout {
	const message = koffi.struct({
		name: "void *",
		nameBytes: "uint32_t",
		vectors: "void *",
		vectorCount: "size_t",
		control: "void *",
		controlBytes: "size_t",
		flags: "int",
	});
	const vector = koffi.struct({ base: "void *", length: "size_t" });
	const control = koffi.struct({ length: "size_t", level: "int", type: "int" });
	const address = koffi.struct({ family: "uint16_t", path: koffi.array("char", socketPathBytesMax + 1) });
	for (const [name, type, bytes] of [
		["msghdr", message, 56],
		["iovec", vector, 16],
		["cmsghdr", control, 16],
		["sockaddr_un", address, 110],
	] as const) {
		if (koffi.sizeof(type) !== bytes) throw new Error(`struct ${name} takes ${koffi.sizeof(type)} bytes here, not ${bytes}`);
	}
	return {
		messageBytes: koffi.sizeof(message),
		messageName: koffi.offsetof(message, "name"),
		messageNameBytes: koffi.offsetof(message, "nameBytes"),
		messageVectors: koffi.offsetof(message, "vectors"),
		messageVectorCount: koffi.offsetof(message, "vectorCount"),
		messageControl: koffi.offsetof(message, "control"),
		messageControlBytes: koffi.offsetof(message, "controlBytes"),
		messageFlags: koffi.offsetof(message, "flags"),
		vectorBytes: koffi.sizeof(vector),
		vectorBase: koffi.offsetof(vector, "base"),
		vectorLength: koffi.offsetof(vector, "length"),
		controlHeaderBytes: koffi.sizeof(control),
		controlLength: koffi.offsetof(control, "length"),
		controlLevel: koffi.offsetof(control, "level"),
		controlType: koffi.offsetof(control, "type"),
		addressBytes: koffi.sizeof(address),
		addressPath: koffi.offsetof(address, "path"),
	};
}

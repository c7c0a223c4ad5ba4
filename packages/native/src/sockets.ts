import { Linux } from "./constants.ts";
import { libc, throwErrno } from "./libc.ts";
import { NativeError } from "./native-error.ts";

const value = new Int32Array(1);
/** O_CLOEXEC has the value of SOCK_CLOEXEC. */
const oCloexec = Linux.SOCK_CLOEXEC;

/**
 * Copies bytes that have arrived on a socket, without taking them.
 * @returns the number of bytes copied to `into`; 0: the peer has closed; -1: nothing has arrived yet.
 * @throws NativeError, for example ECONNRESET when the peer broke the connection.
 */
export function peek(fd: number, into: Uint8Array): number {
	const bytes = libc().recv(fd, into, into.length, Linux.MSG_PEEK | Linux.MSG_DONTWAIT);
	if (bytes >= 0) return bytes;
	const errno = libc().errno();
	if (errno === Linux.EAGAIN || errno === Linux.EINTR) return -1;
	throwErrno("recv");
}

/**
 * Sends `word` and closes the connection at once, without waiting for the peer. For a process without free descriptors. Reads and discards
 * received bytes first (up to the size of `scratch`), since closing with unread bytes resets the connection, and the peer might not get `word`.
 * Bytes that the socket does not accept at once are lost.
 */
export function sendAndClose(fd: number, word: Uint8Array, scratch: Uint8Array): void {
	libc().recv(fd, scratch, scratch.length, Linux.MSG_DONTWAIT);
	libc().send(fd, word, word.length, Linux.MSG_DONTWAIT | Linux.MSG_NOSIGNAL);
	closeDescriptor(fd);
}

/** `struct sockaddr_in` or `sockaddr_in6`: family u16, port, then the address at 4 or, after the flow label, at 8. */
const socketAddress = new Uint8Array(28);
const socketAddressBytes = new Uint32Array(1);

/** The peer's IP address, 4 or 16 bytes, valid until the next call. Empty when the connection is gone. */
export function peerAddress(fd: number): Uint8Array {
	socketAddressBytes[0] = socketAddress.length;
	if (libc().getpeername(fd, socketAddress, socketAddressBytes) === -1) return socketAddress.subarray(0, 0);
	switch (socketAddress[0] | (socketAddress[1] << 8)) {
		case Linux.AF_INET:
			return socketAddress.subarray(4, 8);
		case Linux.AF_INET6:
			return socketAddress.subarray(8, 24);
		default:
			return socketAddress.subarray(0, 0);
	}
}

/** The process that has connected to a Unix socket. */
export interface PeerProcess {
	readonly pid: number;
	readonly uid: number;
}

/** `struct ucred`: pid, uid, gid, 4 bytes each. */
const credentials = new Int32Array(3);

/** Who has connected to this Unix socket, as it was when it connected. @throws NativeError when `fd` is no such socket. */
export function peerProcess(fd: number): PeerProcess {
	socketAddressBytes[0] = credentials.byteLength;
	if (libc().getsockopt(fd, Linux.SOL_SOCKET, Linux.SO_PEERCRED, credentials, socketAddressBytes) === -1) throwErrno("getsockopt");
	return { pid: credentials[0]!, uid: credentials[1]! >>> 0 };
}

/**
 * Makes `accept` return connections only when their first bytes have arrived, at the latest after about `seconds`. Then the request's head is
 * there already.
 */
export function setDeferAccept(listenFd: number, seconds: number): void {
	setOption(listenFd, Linux.TCP_DEFER_ACCEPT, seconds);
}

export function setTcpNoDelay(fd: number, on: boolean): void {
	setOption(fd, Linux.TCP_NODELAY, on ? 1 : 0);
}

/** Duplicates a descriptor, with close-on-exec like all of Node's. */
export function duplicate(fd: number): number {
	const copy = libc().fcntl(fd, Linux.F_DUPFD_CLOEXEC, 0);
	if (copy === -1) throwErrno("fcntl");
	return copy;
}

/** Creates two connected Unix sockets. The caller must close them. */
export function socketPair(): [number, number] {
	const pair = new Int32Array(2);
	const { SOCK_STREAM, SOCK_NONBLOCK, SOCK_CLOEXEC, AF_UNIX } = Linux;
	if (libc().socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) === -1) throwErrno("socketpair");
	return [pair[0]!, pair[1]!];
}

/** Makes the descriptor `to` refer to the socket of `from`. Closes what `to` referred to before; `from` stays open. */
export function replaceDescriptor(to: number, from: number): void {
	if (libc().dup3(from, to, oCloexec) === -1) throwErrno("dup3");
}

/** Number of received bytes that are not read yet. */
export function unreadBytes(fd: number): number {
	if (libc().ioctl(fd, Linux.FIONREAD, value) === -1) throwErrno("ioctl");
	return value[0]!;
}

/** Reads and discards exactly `bytes` received bytes. @throws NativeError when fewer have arrived, or the connection is broken. */
export function discard(fd: number, bytes: number): void {
	const scratch = new Uint8Array(bytes);
	const read = libc().recv(fd, scratch, bytes, Linux.MSG_DONTWAIT);
	if (read === -1) throwErrno("recv");
	if (read !== bytes) throw new NativeError("EMSGSIZE", "recv", `${read} of ${bytes} bytes had arrived`);
}

/** Writes a few bytes at once. @throws NativeError when the socket does not have room for them. */
export function sendAll(fd: number, bytes: Uint8Array): void {
	const sent = libc().send(fd, bytes, bytes.length, Linux.MSG_DONTWAIT | Linux.MSG_NOSIGNAL);
	if (sent === -1) throwErrno("send");
	if (sent !== bytes.length) throw new NativeError("EMSGSIZE", "send", `${sent} of ${bytes.length} bytes were accepted`);
}

/** Closes a descriptor that no library owns. EINTR counts as closed: on Linux the descriptor is closed then. */
export function closeDescriptor(fd: number): void {
	if (libc().close(fd) === -1 && libc().errno() !== Linux.EINTR) throwErrno("close", `descriptor ${fd}`);
}

function setOption(fd: number, option: number, to: number): void {
	value[0] = to;
	if (libc().setsockopt(fd, Linux.IPPROTO_TCP, option, value, value.byteLength) === -1) throwErrno("setsockopt", `TCP option ${option}`);
}

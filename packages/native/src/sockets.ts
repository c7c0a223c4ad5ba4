import { Linux } from "./constants.ts";
import { libc, throwErrno } from "./libc.ts";
import { NativeError } from "./native-error.ts";

const value = new Int32Array(1);
/** As for accept4: O_CLOEXEC has the value of SOCK_CLOEXEC. */
const oCloexec = Linux.SOCK_CLOEXEC;

/**
 * Looks at what has arrived on a socket without taking it.
 * @returns bytes put into `into`; 0: the peer has closed; -1: nothing has arrived yet.
 * @throws NativeError, ECONNRESET for one when the peer broke the connection.
 */
export function peek(fd: number, into: Uint8Array): number {
	const bytes = libc().recv(fd, into, into.length, Linux.MSG_PEEK | Linux.MSG_DONTWAIT);
	if (bytes >= 0) return bytes;
	const errno = libc().errno();
	if (errno === Linux.EAGAIN || errno === Linux.EINTR) return -1;
	throwErrno("recv");
}

/**
 * Says a last word on a connection and closes it at once, without waiting for the peer: for a process that has no descriptor to spare.
 * What has arrived is read and thrown away first (as much as `scratch` holds), since closing with bytes unread would reset the connection
 * and might cut the word off. What the socket does not take at once is lost.
 */
export function sayAndClose(fd: number, word: Uint8Array, scratch: Uint8Array): void {
	libc().recv(fd, scratch, scratch.length, Linux.MSG_DONTWAIT);
	libc().send(fd, word, word.length, Linux.MSG_DONTWAIT | Linux.MSG_NOSIGNAL);
	closeDescriptor(fd);
}

/** A `struct sockaddr_in` or `sockaddr_in6`: family u16, port, then the address at 4 or, behind the flow label, at 8. */
const socketAddress = new Uint8Array(28);
const socketAddressBytes = new Uint32Array(1);

/** The IP address at the other end of a connection, 4 or 16 bytes, valid until the next call; none when it is gone. */
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

/**
 * Connections come to `accept` only once their first bytes have come, or at the latest after about `seconds`: then the
 * request's head can be looked at without waiting for it.
 */
export function setDeferAccept(listenFd: number, seconds: number): void {
	setOption(listenFd, Linux.TCP_DEFER_ACCEPT, seconds);
}

export function setTcpNoDelay(fd: number, on: boolean): void {
	setOption(fd, Linux.TCP_NODELAY, on ? 1 : 0);
}

/** A second descriptor of the same file or socket, closed on exec like all of Node's. */
export function duplicate(fd: number): number {
	const copy = libc().fcntl(fd, Linux.F_DUPFD_CLOEXEC, 0);
	if (copy === -1) throwErrno("fcntl");
	return copy;
}

/** Two connected sockets of this machine, the caller's to close. */
export function socketPair(): [number, number] {
	const pair = new Int32Array(2);
	const { SOCK_STREAM, SOCK_NONBLOCK, SOCK_CLOEXEC, AF_UNIX } = Linux;
	if (libc().socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) === -1) throwErrno("socketpair");
	return [pair[0]!, pair[1]!];
}

/** Lets the descriptor `to` be the socket that `from` is; what `to` was is closed. `from` stays open. */
export function replaceDescriptor(to: number, from: number): void {
	if (libc().dup3(from, to, oCloexec) === -1) throwErrno("dup3");
}

/** How many bytes have arrived on a socket and are not read. */
export function unreadBytes(fd: number): number {
	if (libc().ioctl(fd, Linux.FIONREAD, value) === -1) throwErrno("ioctl");
	return value[0]!;
}

/** Reads exactly so many bytes, which must have arrived, and throws them away. @throws NativeError when they have not, or the connection is broken. */
export function discard(fd: number, bytes: number): void {
	const scratch = new Uint8Array(bytes);
	const read = libc().recv(fd, scratch, bytes, Linux.MSG_DONTWAIT);
	if (read === -1) throwErrno("recv");
	if (read !== bytes) throw new NativeError("EMSGSIZE", "recv", `${read} of ${bytes} bytes had arrived`);
}

/** Writes a few bytes to a socket that has room for them. @throws NativeError when it has not. */
export function sendAll(fd: number, bytes: Uint8Array): void {
	const sent = libc().send(fd, bytes, bytes.length, Linux.MSG_DONTWAIT | Linux.MSG_NOSIGNAL);
	if (sent === -1) throwErrno("send");
	if (sent !== bytes.length) throw new NativeError("EMSGSIZE", "send", `${sent} of ${bytes.length} bytes were taken`);
}

/** Closes a descriptor that no library owns. EINTR counts as closed: on Linux the descriptor is gone then. */
export function closeDescriptor(fd: number): void {
	if (libc().close(fd) === -1 && libc().errno() !== Linux.EINTR) throwErrno("close", `descriptor ${fd}`);
}

function setOption(fd: number, option: number, to: number): void {
	value[0] = to;
	if (libc().setsockopt(fd, Linux.IPPROTO_TCP, option, value, value.byteLength) === -1) throwErrno("setsockopt", `TCP option ${option}`);
}

import { fstatSync, readdirSync } from "node:fs";
import { Linux } from "./constants.ts";
import { libc, nativeSupport } from "./libc.ts";
import { closeDescriptor, duplicate, peerAddress } from "./sockets.ts";

/** A socket with unsent bytes, and a duplicate descriptor of it. */
interface Stuck {
	readonly fd: number;
	readonly copy: number;
	readonly inode: number;
}

const unsentBytes = new Int32Array(1);
/** `struct linger`: on, for 0 seconds. */
const lingerNone = Int32Array.of(1, 0);

/**
 * Runs `close`, and resets the TCP connections that it closes if they have unsent bytes. Normally the kernel keeps such bytes, some MB per
 * connection, and tries for a minute or more to send them to a peer that does not read. A reset frees them at once.
 *
 * For libraries that do not expose the descriptors of their connections: sockets with unsent bytes are duplicated first. If the original is
 * gone afterwards, the duplicate is set not to linger and closed. This takes about 1 µs per open descriptor of the process, so close many
 * connections in one call. Without native support or free descriptors, connections are closed as usual.
 *
 * The kernel frees what is unsent when the duplicate is closed: up to 1 ms for each connection. So not all are closed in this call, but some in
 * each turn of the event loop, `msPerTurn` at most and one at least. Those of a call that comes meanwhile follow.
 * @returns the number of connections reset.
 */
export function closeWithReset(close: () => void, msPerTurn = 2): number {
	const stuck = nativeSupport().available ? stuckSockets() : [];
	let reset = 0;
	try {
		close();
		for (const { fd, copy, inode } of stuck) {
			if (inodeOf(fd) === inode) continue;
			if (libc().setsockopt(copy, Linux.SOL_SOCKET, Linux.SO_LINGER, lingerNone, lingerNone.byteLength) !== 0) continue;
			closing.add(copy);
			reset++;
		}
	} finally {
		for (const { copy } of stuck) if (!closing.has(copy)) closeDescriptor(copy);
		if (!isClosing) closeInTurns(msPerTurn);
	}
	return reset;
}

/** Duplicates that are reset when they are closed. Bound: the descriptors of the process. */
const closing = new Set<number>();
/** A later turn goes on. */
let isClosing = false;

function closeInTurns(msPerTurn: number): void {
	const untilMs = performance.now() + msPerTurn;
	for (const descriptor of closing) {
		closing.delete(descriptor);
		closeDescriptor(descriptor);
		if (performance.now() >= untilMs) break;
	}
	isClosing = closing.size > 0;
	if (isClosing) setImmediate(closeInTurns, msPerTurn);
}

function stuckSockets(): Stuck[] {
	const stuck: Stuck[] = [];
	try {
		for (const name of readdirSync("/proc/self/fd")) {
			const fd = Number(name);
			if (closing.has(fd) || !holdsUnsentBytes(fd)) continue;
			// Duplicate first: a worker thread may reuse the number for another socket meanwhile.
			const copy = duplicate(fd);
			const inode = holdsUnsentBytes(copy) ? inodeOf(copy) : null;
			if (inode === null) closeDescriptor(copy);
			else stuck.push({ fd, inode, copy });
		}
	} catch {
		// No free descriptors: the sockets found so far are reset, the others are closed as usual.
	}
	return stuck;
}

/** False for anything but a TCP connection. */
function holdsUnsentBytes(fd: number): boolean {
	return libc().ioctl(fd, Linux.SIOCOUTQNSD, unsentBytes) === 0 && unsentBytes[0]! > 0 && peerAddress(fd).length > 0;
}

/** Distinguishes a socket from a later one with the same descriptor; null when the descriptor is closed. */
function inodeOf(fd: number): number | null {
	try {
		return fstatSync(fd).ino;
	} catch {
		return null; // closed
	}
}

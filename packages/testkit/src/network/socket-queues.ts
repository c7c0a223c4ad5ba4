import { readFileSync } from "node:fs";

/** Bytes that the kernel buffers for one TCP socket. */
interface SocketQueue {
	readonly localPort: number;
	readonly remotePort: number;
	/** Written and not yet acknowledged by the other side. */
	readonly unsentBytes: number;
	/** Received and not yet read. */
	readonly unreadBytes: number;
}

/** Reads the text of /proc/net/tcp. */
export function parseSocketQueues(text: string): SocketQueue[] {
	const queues: SocketQueue[] = [];
	for (const line of text.split("\n").slice(1)) {
		const [, local, remote, , both] = line.trim().split(/\s+/);
		if (both === undefined) continue;
		const port = (address: string): number => Number.parseInt(address.slice(address.indexOf(":") + 1), 16);
		const [unsent, unread] = both.split(":").map((hex) => Number.parseInt(hex, 16));
		queues.push({ localPort: port(local!), remotePort: port(remote!), unsentBytes: unsent!, unreadBytes: unread! });
	}
	return queues;
}

/** All TCP sockets over IPv4 in this network namespace, those without a process included. */
export function socketQueues(): SocketQueue[] {
	return parseSocketQueues(readFileSync("/proc/net/tcp", "latin1"));
}

/** Mean number of bytes that the kernel buffers per connection, at both ends, for local connections from these client ports. */
export function kernelBytesPerConnection(clientPorts: readonly number[], queues = socketQueues()): number {
	const clients = new Set(clientPorts);
	let bytes = 0;
	for (const { localPort, remotePort, unsentBytes, unreadBytes } of queues) {
		if (clients.has(remotePort)) bytes += unsentBytes;
		if (clients.has(localPort)) bytes += unreadBytes;
	}
	return bytes / clients.size;
}

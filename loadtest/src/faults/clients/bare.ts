import { connect, type Socket } from "node:net";
import type { Rig } from "../rig.ts";

/** A TCP connection for faults in what is sent. */
export interface Bare {
	readonly socket: Socket;
	/** What has come so far, as latin1. */
	readonly received: () => string;
	readonly isClosed: () => boolean;
}

const keptBytes = 65_536;

/** To the balancer of the cluster, not connected yet. */
export function bareConnection(rig: Rig): Bare {
	const { hostname, port } = new URL(rig.subject.cluster.httpUrl);
	const socket = connect({ host: hostname, port: Number(port), noDelay: true });
	let received = "";
	let isClosed = false;
	socket.on("data", (bytes) => {
		received = (received + bytes.toString("latin1")).slice(-keptBytes);
	});
	// Being reset is one way to be refused.
	socket.on("error", () => {});
	socket.on("close", () => {
		isClosed = true;
	});
	return { socket, received: () => received, isClosed: () => isClosed };
}

/** Writes one byte after the other, each by itself. */
export async function byteByByte(rig: Rig, { socket, isClosed }: Bare, bytes: Uint8Array, everyMs: number): Promise<void> {
	for (const byte of bytes) {
		if (isClosed() || socket.writableEnded) return;
		socket.write(Uint8Array.of(byte));
		await rig.wait(everyMs);
	}
}

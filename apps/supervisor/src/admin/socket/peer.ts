import type { Socket } from "node:net";
import { NativeError, nativeSupport, peerProcess } from "@shardcast/native";

/** Who has connected to a Unix socket: "user 0, pid 123". */
export function unixPeer(socket: Socket): string {
	const handle = (socket as unknown as { readonly _handle: { readonly fd: number } | null })._handle;
	if (handle === null || !nativeSupport().available) return unknown;
	try {
		const { uid, pid } = peerProcess(handle.fd);
		return `user ${uid}, pid ${pid}`;
	} catch (error) {
		if (error instanceof NativeError) return unknown;
		throw error;
	}
}

/** Only this user and root can connect. */
const unknown = "a local user";

const nameMax = 64;

/** Adds the name that a caller gives itself, such as the user before sudo. It proves nothing. */
export function withName(peer: string, name: string): string {
	const shown = name.replace(/[^\w@.+-]/g, "").slice(0, nameMax);
	return shown === "" ? peer : `${shown} (${peer})`;
}

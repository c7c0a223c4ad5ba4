import { lookup } from "node:dns/promises";
import * as net from "node:net";
import { getSystemErrorName } from "node:util";
import type { Address } from "@shardcast/config";

/** A bound socket of Node (libuv's stream) that does not listen yet. Not public API: node:cluster uses it for the same purpose, and here only this file. */
interface BoundSocket {
	readonly fd: number;
	/** 0, or a negative error number: also that of a `bind` that has failed. */
	getsockname(out: object): number;
	close(): void;
}
type CreateServerHandle = (host: string, port: number, family: 4 | 6, fd: undefined, flags: number) => BoundSocket | number;
const createServerHandle = (net as unknown as { readonly _createServerHandle: CreateServerHandle })._createServerHandle;

/** The balancer's listening socket, which belongs to the supervisor: connections wait in its queue while the balancer is replaced, or has died. */
export interface ListeningSocket {
	/** For the balancer to inherit, and to listen on. */
	readonly descriptor: number;
	/** The socket then lasts as long as the balancer. */
	close(): void;
}

/**
 * Binds the address. The balancer begins to listen, so that a client never waits for one that does not come up.
 * @throws a system error when the address cannot be used.
 */
export async function openListeningSocket({ host, port }: Address): Promise<ListeningSocket> {
	const socket = host === undefined ? everywhere(port) : await onHost(host, port);
	return { descriptor: socket.fd, close: () => socket.close() };
}

/** Like `net.Server`: IPv6 and IPv4 if there is IPv6. */
function everywhere(port: number): BoundSocket {
	const both = createServerHandle("::", port, 6, undefined, 0);
	return typeof both === "number" ? bound(createServerHandle("0.0.0.0", port, 4, undefined, 0)) : bound(both);
}

async function onHost(host: string, port: number): Promise<BoundSocket> {
	const { address, family } = await lookup(host);
	return bound(createServerHandle(address, port, family === 6 ? 6 : 4, undefined, 0));
}

function bound(made: BoundSocket | number): BoundSocket {
	const status = typeof made === "number" ? made : made.getsockname({});
	if (typeof made !== "number" && status === 0) return made;
	if (typeof made !== "number") made.close();
	throw systemError(status);
}

function systemError(status: number): NodeJS.ErrnoException {
	const code = getSystemErrorName(status);
	return Object.assign(new Error(`bind: ${code}`), { code, errno: status, syscall: "bind" });
}

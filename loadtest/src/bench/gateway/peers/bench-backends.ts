import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";

/** A source of VIDEO for clients. */
export interface BenchBackend {
	readonly ports: readonly number[];
	/** Clients that it can send to. */
	readonly clients: number;
	/** Calls from now on send to the clients that there are, in random order. */
	prepare(): void;
	/** Sends so many frames, to the clients in turn; none while the kernel has not taken those before. */
	sendVideo(frames: number): void;
	close(): void;
}

/** Listens on a free port of 127.0.0.1. Its connections end with it. */
export async function listen(onConnection: (socket: Socket) => void): Promise<{ readonly port: number; close(): void }> {
	const sockets = new Set<Socket>();
	const server: Server = createServer({ noDelay: true }, (socket) => {
		sockets.add(socket);
		// Whoever closes the bench resets connections.
		socket.on("error", () => {});
		socket.on("close", () => sockets.delete(socket));
		onConnection(socket);
	});
	server.listen(0, "127.0.0.1", 1024);
	await once(server, "listening");
	const close = (): void => {
		server.close();
		for (const socket of sockets) socket.destroy();
	};
	return { port: (server.address() as AddressInfo).port, close };
}

/** In another order each time. */
export function shuffled<T>(all: readonly T[]): T[] {
	const left = [...all];
	for (let index = left.length - 1; index > 0; index--) {
		const other = Math.floor(Math.random() * (index + 1));
		[left[index], left[other]] = [left[other]!, left[index]!];
	}
	return left;
}

import { createServer, type Server } from "node:net";
import { setDeferAccept, setTcpNoDelay } from "@shardcast/native";
import { backlog, type ListenAt } from "@shardcast/relay";

/** Node's internal handle behind a listening `net.Server` and an accepted socket (libuv's stream). Not public API: only this file uses it. */
interface Stream {
	readonly fd: number;
	close(): void;
}
interface ListeningStream extends Stream {
	onconnection: (status: number, connection: Stream | undefined) => void;
}

/** A client that sends nothing is accepted after about this time; until then it costs the kernel a few hundred bytes and this process nothing. */
const deferSeconds = 1;

/**
 * A listening socket that yields bare connections. It creates no `net.Socket` for them, which would cost three times as much as
 * the rest of a handoff (measured with 200 clients connecting at once: 31 µs of CPU per connection against 10).
 *
 * libuv accepts one connection per turn and calls back; the callback takes the rest of the kernel's queue with `accept`.
 */
export class Listener {
	readonly #server: Server;
	readonly #stream: ListeningStream;

	private constructor(server: Server, stream: ListeningStream) {
		this.#server = server;
		this.#stream = stream;
	}

	/**
	 * @param onConnection gets the connection that libuv has accepted, or null when accepting failed for lack of descriptors or
	 * memory.
	 */
	static open(at: ListenAt, onConnection: (listenFd: number, connection: Accepted | null) => void): Promise<Listener> {
		return new Promise((resolve, reject) => {
			const server = createServer();
			server.once("error", reject);
			server.listen({ ...at, backlog }, () => {
				server.off("error", reject);
				const stream = (server as unknown as { _handle: ListeningStream })._handle;
				// Accepted sockets inherit this option.
				setTcpNoDelay(stream.fd, true);
				setDeferAccept(stream.fd, deferSeconds);
				stream.onconnection = (status, connection) => onConnection(stream.fd, status === 0 && connection ? connection : null);
				resolve(new Listener(server, stream));
			});
		});
	}

	get fd(): number {
		return this.#stream.fd;
	}

	get port(): number {
		const address = this.#server.address();
		return address !== null && typeof address === "object" ? address.port : 0;
	}

	/** Connections that are still in the kernel's queue are reset, unless the socket belongs to another process, too. */
	close(): void {
		this.#server.close();
	}
}

/** A connection that libuv has accepted: take a duplicate of its descriptor, then close it. */
export type Accepted = Stream;

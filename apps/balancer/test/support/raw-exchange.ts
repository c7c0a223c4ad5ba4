import { once } from "node:events";
import { connect, type Socket } from "node:net";

export interface Reply {
	/** 0 when the connection was closed without an answer. */
	readonly status: number;
	readonly head: string;
	readonly body: string;
}

/** A TCP connection on which a test says exactly what it wants. Collects all that comes. */
export class RawConnection {
	readonly socket: Socket;
	readonly #chunks: Buffer[] = [];

	private constructor(socket: Socket) {
		this.socket = socket;
		socket.on("data", (chunk) => this.#chunks.push(chunk));
		// How it ended is what the test looks at.
		socket.on("error", () => {});
	}

	static async open(
		port: number,
		options: { readonly localAddress?: string; readonly allowHalfOpen?: boolean } = {},
	): Promise<RawConnection> {
		const connection = new RawConnection(connect({ port, host: "127.0.0.1", noDelay: true, ...options }));
		await once(connection.socket, "connect");
		return connection;
	}

	get received(): Buffer {
		return Buffer.concat(this.#chunks);
	}

	write(bytes: string | Buffer): Promise<void> {
		return new Promise((resolve) => this.socket.write(bytes, "latin1", () => resolve()));
	}

	/** What has come when the other side has closed. */
	async reply(): Promise<Reply> {
		if (!this.socket.closed) await new Promise((resolve) => this.socket.once("close", resolve));
		const text = this.received.toString("latin1");
		const end = text.indexOf("\r\n\r\n");
		const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0);
		return { status, head: text.slice(0, Math.max(end, 0)), body: end < 0 ? "" : text.slice(end + 4) };
	}
}

/** Sends the pieces, a turn of the loop apart, and waits for the connection to be closed. */
export async function exchange(port: number, ...pieces: (string | Buffer)[]): Promise<Reply> {
	const connection = await RawConnection.open(port);
	for (const piece of pieces) {
		await connection.write(piece);
		await new Promise((resolve) => setImmediate(resolve));
	}
	return connection.reply();
}

/** The code in the JSON body of a refusal. */
export function errorOf(reply: Reply): { readonly code: string; readonly message: string } {
	return (JSON.parse(reply.body) as { error: { code: string; message: string } }).error;
}

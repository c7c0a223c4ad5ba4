import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { encodeFrameHeader, FrameClass, FrameLayout } from "@shardcast/gateway";
import { waitFor } from "@shardcast/testkit";

export const payloadBytes = 200;
const messageBytes = FrameLayout.messageHeaderBytes + payloadBytes;
const frameBytes = FrameLayout.headerBytes + payloadBytes;
/** Of a WebSocket message of 126 to 65,535 bytes, without a mask. */
const webSocketHeaderBytes = 4;
/** How many a client gets or sends before the others have their turn. */
const batch = 64;
const classes = [FrameClass.CONTROL, FrameClass.FILE];
const within = (what: string) => ({ what, deadlineMs: 30_000, everyMs: 1 });

/** A TCP backend that counts what it gets. */
export class CountingBackend {
	bytes = 0;
	readonly sockets: Socket[] = [];
	readonly #server: Server;

	private constructor(server: Server) {
		this.#server = server;
		server.on("connection", (socket) => {
			this.sockets.push(socket);
			socket.on("error", () => {});
			socket.on("data", (piece) => {
				this.bytes += piece.length;
			});
		});
	}

	static async open(): Promise<CountingBackend> {
		const server = createServer({ noDelay: true });
		server.listen(0, "127.0.0.1");
		await once(server, "listening");
		return new CountingBackend(server);
	}

	get port(): number {
		return (this.#server.address() as AddressInfo).port;
	}

	close(): void {
		for (const socket of this.sockets) socket.destroy();
		this.#server.close();
	}
}

/** A WebSocket client that costs little: it counts bytes, and writes messages that were made before. */
export class CountingClient {
	bytes = 0;
	id = 0;
	#text = "";
	readonly socket: Socket;

	private constructor(socket: Socket) {
		this.socket = socket;
		socket.on("error", () => {});
		socket.on("data", (piece) => {
			this.bytes += piece.length;
			if (this.id > 0) return;
			this.#text += piece.toString("latin1");
			this.id = Number(/"client":(\d+).*\]\}$/s.exec(this.#text)?.[1] ?? 0);
		});
	}

	static async open(port: number): Promise<CountingClient> {
		const client = new CountingClient(connect(port, "127.0.0.1"));
		const key = randomBytes(16).toString("base64");
		client.socket.write(
			`GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
		);
		await waitFor(() => client.id > 0, within("the welcome"));
		return client;
	}

	/** A batch of messages for a backend, with a mask that changes nothing. */
	messagesFor(backend: number): Buffer {
		const size = webSocketHeaderBytes + 4 + messageBytes;
		const bytes = Buffer.alloc(batch * size);
		for (let index = 0; index < batch; index++) {
			const at = index * size;
			bytes.writeUInt16BE(0x82fe, at);
			bytes.writeUInt16BE(messageBytes, at + 2);
			const message = at + webSocketHeaderBytes + 4;
			bytes.writeUInt32BE(backend, message + FrameLayout.messageBackendOffset);
			bytes[message + FrameLayout.messageHeaderBytes] = classes[index % classes.length]!;
		}
		return bytes;
	}

	/** A batch of frames for it. */
	framesOf(frameClass: FrameClass): Buffer {
		const bytes = Buffer.alloc(batch * frameBytes);
		for (let index = 0; index < batch; index++) bytes[encodeFrameHeader(bytes, index * frameBytes, payloadBytes, this.id, 0)] = frameClass;
		return bytes;
	}
}

/** Sends at least as many messages from clients to backends. Resolves when they are there, with how many they were. */
export async function toBackends(clients: readonly CountingClient[], backends: readonly CountingBackend[], count: number): Promise<number> {
	const batches = clients.map((client, index) => client.messagesFor(1 + (index % backends.length)));
	const got = () => backends.reduce((sum, { bytes }) => sum + bytes, 0);
	const before = got();
	let sent = 0;
	while (sent < count) {
		for (const [index, client] of clients.entries()) client.socket.write(batches[index]!);
		sent += clients.length * batch;
		const all = before + sent * frameBytes;
		await waitFor(() => got() >= all, within("the messages at the backends"));
	}
	return sent;
}

/** The other way. */
export async function toClients(clients: readonly CountingClient[], backends: readonly CountingBackend[], count: number): Promise<number> {
	const batches = clients.map((client) => classes.map((frameClass) => client.framesOf(frameClass)));
	const got = () => clients.reduce((sum, { bytes }) => sum + bytes, 0);
	const before = got();
	let sent = 0;
	while (sent < count) {
		// Each class on another of the two connections.
		for (const [index, frames] of batches.entries())
			for (const [which, bytes] of frames.entries()) backends[index % backends.length]!.sockets[which]!.write(bytes);
		sent += clients.length * classes.length * batch;
		const all = before + sent * (webSocketHeaderBytes + messageBytes);
		await waitFor(() => got() >= all, within("the messages at the clients"));
	}
	return sent;
}

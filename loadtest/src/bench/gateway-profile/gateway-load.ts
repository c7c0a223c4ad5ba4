import type { Socket } from "node:net";
import { encodeFrameHeader, FrameClass, FrameLayout } from "@shardcast/gateway";
import {
	describeEnd,
	encodeFrame,
	handshakeKey,
	Opcode,
	RawSocket,
	type RawSocketHandler,
	type SocketEnd,
	waitFor,
} from "@shardcast/testkit";
import { listen } from "../gateway/peers/bench-backends.ts";

export const payloadBytes = 200;
const messageBytes = FrameLayout.messageHeaderBytes + payloadBytes;
const frameBytes = FrameLayout.headerBytes + payloadBytes;
/** How many a client gets or sends before the others have their turn. */
const batch = 64;
const classes = [FrameClass.CONTROL, FrameClass.FILE];
const within = (what: string) => ({ what, deadlineMs: 30_000, everyMs: 1 });
const key = handshakeKey();
const readBuffer = Buffer.allocUnsafeSlow(256 * 1024);

/** A TCP backend that counts what it gets. */
export class CountingBackend {
	bytes = 0;
	readonly sockets: Socket[] = [];

	/** @param ends gets what closes it. */
	static async open(ends: (() => Promise<void>)[]): Promise<{ readonly backend: CountingBackend; readonly port: number }> {
		const backend = new CountingBackend();
		const { port, close } = await listen((socket) => {
			backend.sockets.push(socket);
			socket.on("data", (piece) => {
				backend.bytes += piece.length;
			});
		});
		ends.push(async () => close());
		return { backend, port };
	}
}

/** A WebSocket client that costs little: it counts bytes of messages, and writes messages that were made before. */
export class CountingClient implements RawSocketHandler {
	bytes = 0;
	id = 0;
	readonly socket: RawSocket;
	#end: SocketEnd | null = null;

	private constructor(port: number) {
		this.socket = new RawSocket(0, { host: "127.0.0.1", port, path: "/", key, readBuffer }, this);
	}

	static async open(port: number): Promise<CountingClient> {
		const client = new CountingClient(port);
		await waitFor(() => client.id > 0 || client.#end !== null, within("the welcome"));
		if (client.#end !== null) throw new Error(`a client was ${describeEnd(client.#end)}`);
		return client;
	}

	opened(): void {}

	message(_socket: RawSocket, _opcode: number, bytes: Buffer, start: number, end: number): void {
		this.bytes += end - start;
		if (this.id === 0) this.id = JSON.parse(bytes.toString("utf8", start + FrameLayout.messageHeaderBytes + 1, end)).client;
	}

	ended(_socket: RawSocket, end: SocketEnd): void {
		this.#end = end;
	}

	/** A batch of messages for a backend. */
	messagesFor(backend: number): Buffer {
		const messages = Array.from({ length: batch }, (_, index) => {
			const message = Buffer.alloc(messageBytes);
			message.writeUInt32BE(backend, FrameLayout.messageBackendOffset);
			message[FrameLayout.messageHeaderBytes] = classes[index % classes.length]!;
			return encodeFrame(Opcode.binary, message, { masked: true });
		});
		return Buffer.concat(messages);
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
		for (const [index, client] of clients.entries()) client.socket.sendBytes(batches[index]!);
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
		const all = before + sent * messageBytes;
		await waitFor(() => got() >= all, within("the messages at the clients"));
	}
	return sent;
}

import type { Socket } from "node:net";
import { acceptFor, encodeFrame, Opcode } from "@shardcast/testkit";
import { type BenchBackend, listen, shuffled } from "./bench-backends.ts";
import { stamp, stampMessage, videoMessage } from "./messages.ts";

/**
 * What a backend is behind a program that has one connection to it for each client, and passes bytes on. Behind HAProxy it speaks WebSocket itself;
 * behind websockify, which takes the WebSocket off, it writes the bytes of messages.
 */
export class SpliceBackend implements BenchBackend {
	readonly ports: number[] = [];
	readonly #closes: (() => void)[] = [];
	readonly #sockets = new Set<Socket>();
	readonly #speaksWebSocket: boolean;
	/** All clients get the same bytes, and what the kernel has not taken is not sent again. */
	readonly #message: Buffer;
	readonly #stampedAt: number;
	#order: Socket[] = [];
	#turn = 0;

	private constructor(speaksWebSocket: boolean) {
		const message = videoMessage();
		this.#speaksWebSocket = speaksWebSocket;
		this.#message = speaksWebSocket ? encodeFrame(Opcode.binary, message, { masked: false }) : message;
		this.#stampedAt = this.#message.length - message.length;
	}

	static async open(ports: number, speaksWebSocket: boolean): Promise<SpliceBackend> {
		const backend = new SpliceBackend(speaksWebSocket);
		for (let count = 0; count < ports; count++) {
			const { port, close } = await listen((socket) => backend.#connected(socket));
			backend.ports.push(port);
			backend.#closes.push(close);
		}
		return backend;
	}

	get clients(): number {
		return this.#sockets.size;
	}

	prepare(): void {
		this.#order = shuffled([...this.#sockets]);
	}

	sendVideo(frames: number): void {
		stampMessage(this.#message, this.#stampedAt, stamp());
		for (let count = 0; count < frames; count++) {
			this.#turn = (this.#turn + 1) % this.#order.length;
			const socket = this.#order[this.#turn]!;
			if (socket.writableLength === 0) socket.write(this.#message);
		}
	}

	close(): void {
		for (const close of this.#closes) close();
	}

	#connected(socket: Socket): void {
		socket.on("close", () => this.#sockets.delete(socket));
		if (this.#speaksWebSocket) this.#answer(socket);
		else this.#open(socket);
	}

	/** Answers the upgrade, which may come in pieces. */
	#answer(socket: Socket): void {
		let head = "";
		const onPiece = (piece: Buffer): void => {
			head += piece.toString("latin1");
			const key = /^sec-websocket-key: *(\S+)/im.exec(head)?.[1];
			if (key === undefined || !head.endsWith("\r\n\r\n")) return;
			socket.off("data", onPiece);
			const lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"];
			socket.write(`${lines.join("\r\n")}\r\nSec-WebSocket-Accept: ${acceptFor(key)}\r\n\r\n`);
			this.#open(socket);
		};
		socket.on("data", onPiece);
	}

	#open(socket: Socket): void {
		this.#sockets.add(socket);
		// Acknowledgements.
		socket.resume();
	}
}

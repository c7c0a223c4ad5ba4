import type { Socket } from "node:net";
import { FrameClass, FrameLayout } from "@shardcast/gateway";
import { LatencyRecorder } from "../../../report/latency.ts";
import { type BenchBackend, listen, shuffled } from "./bench-backends.ts";
import { controlAnswer, messageAt, read, sinceMs, stamp, stampMessage, videoFrameBytes, videoFrames } from "./messages.ts";

type LinkMessage =
	| { readonly type: "hello"; readonly link: "control" | "data"; readonly backend: number }
	| { readonly type: "clients"; readonly clients: readonly number[] }
	| { readonly type: "client_joined" | "client_left"; readonly client: number };

/** A backend of the gateway. It answers CONTROL, and sends VIDEO from a buffer that has a frame for each client. */
export class FrameBackend implements BenchBackend {
	/** As the gateway numbers it; 0 before it has connected. */
	id = 0;
	toBackend = new LatencyRecorder();
	readonly ports: number[] = [];
	readonly #clients = new Set<number>();
	#close: (() => void) | null = null;
	#data: Socket | null = null;
	#frames: Buffer = Buffer.alloc(0);
	/** Offset of the next frame. */
	#next = 0;

	static async open(): Promise<FrameBackend> {
		const backend = new FrameBackend();
		const { port, close } = await listen((socket) => backend.#connected(socket));
		backend.ports.push(port);
		backend.#close = close;
		return backend;
	}

	/** Those that the gateway has told; none before both of its connections are there. */
	get clients(): number {
		return this.#data === null ? 0 : this.#clients.size;
	}

	prepare(): void {
		this.#frames = videoFrames(shuffled([...this.#clients]));
		this.#next = 0;
	}

	sendVideo(frames: number): void {
		const data = this.#data!;
		if (data.writableLength > 0) return;
		const now = stamp();
		for (let left = frames; left > 0; ) {
			const count = Math.min(left, (this.#frames.length - this.#next) / videoFrameBytes);
			const end = this.#next + count * videoFrameBytes;
			for (let at = this.#next; at < end; at += videoFrameBytes) stampMessage(this.#frames, at + messageAt, now);
			data.write(this.#frames.subarray(this.#next, end));
			this.#next = end === this.#frames.length ? 0 : end;
			left -= count;
		}
	}

	close(): void {
		this.#close?.();
	}

	#connected(socket: Socket): void {
		let rest: Buffer = Buffer.alloc(0);
		socket.on("data", (piece) => {
			rest = rest.length === 0 ? (piece as Buffer) : Buffer.concat([rest, piece as Buffer]);
			let at = 0;
			while (rest.length - at >= FrameLayout.headerBytes) {
				const end = at + FrameLayout.headerBytes + rest.readUInt32BE(at);
				if (rest.length < end) break;
				this.#take(rest.subarray(at, end), socket);
				at = end;
			}
			rest = rest.subarray(at);
		});
	}

	#take(frame: Buffer, socket: Socket): void {
		switch (read.frameClass(frame, messageAt)) {
			case FrameClass.LINK:
				this.#told(JSON.parse(frame.toString("utf8", FrameLayout.headerBytes + 1)) as LinkMessage, socket);
				break;
			case FrameClass.CONTROL:
				this.toBackend.record(sinceMs(read.stamped(frame, messageAt)));
				socket.write(controlAnswer(frame));
				break;
		}
	}

	#told(message: LinkMessage, socket: Socket): void {
		switch (message.type) {
			case "hello":
				this.id = message.backend;
				if (message.link === "data") this.#data = socket;
				break;
			case "clients":
				for (const client of message.clients) this.#clients.add(client);
				break;
			case "client_joined":
				this.#clients.add(message.client);
				break;
			case "client_left":
				this.#clients.delete(message.client);
				break;
		}
	}
}

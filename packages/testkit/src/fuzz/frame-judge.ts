import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";

/** What a server makes of a client's frames. */
export interface FramesTaken {
	/** "text:…" and "binary:…", in hex. */
	readonly messages: readonly string[];
	/** How it ended: with the code of the client's close frame, or without one, or because the client has done something wrong. */
	readonly end: number | "no close frame" | "wrong";
}

interface JudgeOptions {
	readonly messageBytesMax: number;
	readonly deflate: boolean;
}

/** The WebSocket server of the `ws` library, as a judge. `close` must be called. */
export class FrameJudge {
	readonly #server: WebSocketServer;
	readonly #cases = new Map<string, (taken: FramesTaken) => void>();

	private constructor({ messageBytesMax, deflate }: JudgeOptions) {
		const perMessageDeflate = deflate && { threshold: 0, clientNoContextTakeover: true, serverNoContextTakeover: true };
		this.#server = new WebSocketServer({ port: 0, host: "127.0.0.1", maxPayload: messageBytesMax, perMessageDeflate });
		this.#server.on("connection", (socket, request) => this.#serve(socket, request.url!));
	}

	static async open(options: JudgeOptions): Promise<FrameJudge> {
		const judge = new FrameJudge(options);
		await once(judge.#server, "listening");
		return judge;
	}

	get port(): number {
		return (this.#server.address() as AddressInfo).port;
	}

	/** What it makes of the client that connects with this path. */
	takes(path: string): Promise<FramesTaken> {
		return new Promise((resolve) => this.#cases.set(path, resolve));
	}

	async close(): Promise<void> {
		for (const socket of this.#server.clients) socket.terminate();
		this.#server.close();
		await once(this.#server, "close");
	}

	#serve(socket: WebSocket, path: string): void {
		const messages: string[] = [];
		let isWrong = false;
		socket.on("message", (bytes: Buffer, isBinary) => messages.push(`${isBinary ? "binary" : "text"}:${bytes.toString("hex")}`));
		socket.on("error", () => {
			isWrong = true;
		});
		socket.on("close", (code) => {
			this.#cases.get(path)?.({ messages, end: isWrong ? "wrong" : code === 1006 ? "no close frame" : code });
			this.#cases.delete(path);
		});
	}
}

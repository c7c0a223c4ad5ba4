import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";

/** A request, made once, and how many messages it carries. */
export interface LoadRequest {
	readonly bytes: Buffer;
	readonly messages: number;
}

export interface LoadTaken {
	readonly requests: number;
	/** Of them, as the server says. */
	readonly messages: number;
}

/** How long a publisher waits that has found no room. */
const fullPauseMs = 2;

/** A whole POST /api/publish. */
export function publishRequest(host: string, contentType: string, body: string, messages: number): LoadRequest {
	const head = `POST /api/publish HTTP/1.1\r\nHost: ${host}\r\nContent-Type: ${contentType}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n`;
	return { bytes: Buffer.from(head + body), messages };
}

/**
 * Publishers over HTTP on connections that stay open, each with one request under way at most. Bare sockets: a client library would cost more
 * than the server that is measured.
 */
export class HttpLoad {
	readonly #publishers: Publisher[];

	private constructor(publishers: Publisher[]) {
		this.#publishers = publishers;
	}

	static async open(url: string, connections: number): Promise<HttpLoad> {
		const { hostname, port } = new URL(url);
		const open = async (): Promise<Publisher> => {
			const socket = connect({ host: hostname, port: Number(port), noDelay: true });
			await once(socket, "connect");
			return new Publisher(socket);
		};
		return new HttpLoad(await Promise.all(Array.from({ length: connections }, open)));
	}

	/** As many as the server answers; one that has found no room waits a moment. @throws when one is answered otherwise than 200 or 429. */
	async flatOut(request: LoadRequest, durationMs: number): Promise<LoadTaken> {
		const endsMs = performance.now() + durationMs;
		let requests = 0;
		let messages = 0;
		const publish = async (publisher: Publisher): Promise<void> => {
			while (performance.now() < endsMs) {
				const taken = await publisher.send(request);
				requests++;
				messages += taken;
				if (taken < request.messages) await pause(fullPauseMs);
			}
		};
		await Promise.all(this.#publishers.map(publish));
		return { requests, messages };
	}

	/** So many per second, evenly, the connections taking turns. @throws as `flatOut`. */
	async paced(request: LoadRequest, perSecond: number, durationMs: number): Promise<LoadTaken> {
		const startedMs = performance.now();
		const total = Math.round((perSecond * durationMs) / 1000);
		const answers: Promise<number>[] = [];
		while (answers.length < total) {
			const due = Math.min(total, Math.floor(((performance.now() - startedMs) * perSecond) / 1000));
			while (answers.length < due) answers.push(this.#publishers[answers.length % this.#publishers.length]!.send(request));
			await pause(1);
		}
		const messages = (await Promise.all(answers)).reduce((sum, count) => sum + count, 0);
		return { requests: total, messages };
	}

	close(): void {
		for (const publisher of this.#publishers) publisher.close();
	}
}

class Publisher {
	readonly #socket: Socket;
	#received = "";
	readonly #waiting: {
		readonly request: LoadRequest;
		readonly resolve: (messages: number) => void;
		readonly reject: (error: Error) => void;
	}[] = [];

	constructor(socket: Socket) {
		this.#socket = socket;
		socket.setEncoding("latin1").on("data", (data: string) => this.#take(data));
		socket.on("error", (error) => this.#fail(error));
		socket.on("close", () => this.#fail(new Error("the server closed a connection that it should have kept")));
	}

	/** Resolves with how many of its messages were taken. */
	send(request: LoadRequest): Promise<number> {
		return new Promise((resolve, reject) => {
			this.#waiting.push({ request, resolve, reject });
			this.#socket.write(request.bytes);
		});
	}

	close(): void {
		this.#socket.destroy();
	}

	#take(data: string): void {
		this.#received += data;
		for (;;) {
			const headEnd = this.#received.indexOf("\r\n\r\n");
			if (headEnd < 0) return;
			const head = this.#received.slice(0, headEnd);
			const end = headEnd + 4 + Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
			if (this.#received.length < end) return;
			const answer = this.#received.slice(0, end);
			this.#received = this.#received.slice(end);
			const waiting = this.#waiting.shift();
			if (head.startsWith("HTTP/1.1 200 ")) waiting?.resolve(waiting.request.messages);
			else if (head.startsWith("HTTP/1.1 429 ")) waiting?.resolve(published(answer.slice(headEnd + 4)));
			else waiting?.reject(new Error(`not taken: ${answer.slice(0, 400)}`));
		}
	}

	#fail(error: Error): void {
		for (const { reject } of this.#waiting.splice(0)) reject(error);
	}
}

/** Messages of a batch that were taken before one found no room. */
function published(body: string): number {
	return (JSON.parse(body) as { result?: { published: number } }).result?.published ?? 0;
}

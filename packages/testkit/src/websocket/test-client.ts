import WebSocket from "ws";
import { scaledDeadline, waitFor } from "../wait.ts";
import { Opcode } from "./frames.ts";
import { handshakeKey } from "./handshake.ts";
import { describeEnd, RawSocket, type SocketEnd } from "./raw-socket.ts";

interface ReceivedMessage {
	readonly binary: boolean;
	readonly bytes: Buffer;
}

/** The interface of all test clients. */
interface TestClient {
	readonly messages: readonly ReceivedMessage[];
	/** Messages so far as text. */
	texts(): string[];
	/** A string goes out as text, bytes as binary. */
	send(data: string | Uint8Array): void;
	/** Waits until `count` messages are there and returns them all; more than `count` is the caller's to notice. */
	waitForMessages(count: number, deadlineMs?: number): Promise<readonly ReceivedMessage[]>;
	/** Code and reason once it is closed; 1006 when no close frame came. */
	readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
	/** Closing handshake; resolves when the connection has ended. */
	close(code?: number): Promise<void>;
}

const openMs = scaledDeadline(5_000);

abstract class CountingClient implements TestClient {
	readonly messages: ReceivedMessage[] = [];
	abstract readonly closed: Promise<{ code: number; reason: string }>;
	abstract send(data: string | Uint8Array): void;
	abstract close(code?: number): Promise<void>;

	/** Appended to error messages: how the connection was closed; "" while it is open. */
	ending = "";

	texts(): string[] {
		return this.messages.map(({ bytes }) => bytes.toString("utf8"));
	}

	async waitForMessages(count: number, deadlineMs = 5_000): Promise<readonly ReceivedMessage[]> {
		await waitFor(
			() => {
				if (this.messages.length >= count) return true;
				throw new Error(`${this.messages.length} came${this.ending}`);
			},
			{ deadlineMs, what: `${count} messages` },
		);
		return this.messages;
	}
}

/** A client based on the `ws` library, as applications use. Keeps every message. */
export class LibraryClient extends CountingClient {
	/** Called with each message as it comes. */
	onMessage: (message: ReceivedMessage) => void = () => {};
	readonly closed: Promise<{ code: number; reason: string }>;
	readonly #socket: WebSocket;

	private constructor(socket: WebSocket) {
		super();
		this.#socket = socket;
		socket.on("message", (data: Buffer, binary: boolean) => {
			const message = { binary, bytes: data };
			this.messages.push(message);
			this.onMessage(message);
		});
		this.closed = new Promise((resolve) => {
			socket.once("close", (code, reason) => {
				this.ending = `; closed with ${code}`;
				resolve({ code, reason: reason.toString("utf8") });
			});
		});
	}

	/** @throws when the upgrade is refused; the message carries the status. */
	static async open(url: string, headers: Readonly<Record<string, string>> = {}): Promise<LibraryClient> {
		const socket = new WebSocket(url, { headers, handshakeTimeout: openMs, perMessageDeflate: false, rejectUnauthorized: false });
		const client = new LibraryClient(socket);
		await new Promise<void>((resolve, reject) => {
			socket.once("open", resolve);
			socket.once("error", reject);
		});
		socket.on("error", () => {}); // what follows an open connection is told by `closed`
		return client;
	}

	send(data: string | Uint8Array): void {
		this.#socket.send(data);
	}

	async close(code = 1000): Promise<void> {
		this.#socket.close(code);
		await this.closed;
	}
}

/** A client on a bare socket, which can violate the protocol through `socket`. Keeps every message. */
export class RawClient extends CountingClient {
	readonly socket: RawSocket;
	readonly closed: Promise<{ code: number; reason: string }>;
	readonly #opened: Promise<void>;

	private constructor(url: URL, headers: Readonly<Record<string, string>>) {
		super();
		let resolveOpened!: () => void;
		let rejectOpened!: (error: Error) => void;
		this.#opened = new Promise((resolve, reject) => {
			resolveOpened = resolve;
			rejectOpened = reject;
		});
		let resolveClosed!: (end: { code: number; reason: string }) => void;
		this.closed = new Promise((resolve) => {
			resolveClosed = resolve;
		});
		const options = {
			host: url.hostname.replace(/^\[|\]$/g, ""),
			port: Number(url.port),
			path: url.pathname + url.search,
			key: handshakeKey(),
			readBuffer: Buffer.allocUnsafe(65_536),
			headers,
		};
		this.socket = new RawSocket(0, options, {
			opened: () => resolveOpened(),
			message: (_socket, opcode, bytes, start, end) => {
				this.messages.push({ binary: opcode === Opcode.binary, bytes: Buffer.from(bytes.subarray(start, end)) });
			},
			ended: (_socket, end: SocketEnd) => {
				this.ending = `; ${describeEnd(end)}`;
				rejectOpened(new Error(`${url}: ${describeEnd(end)}`));
				resolveClosed(end.kind === "closed" ? { code: end.code, reason: end.reason } : { code: 1006, reason: describeEnd(end) });
			},
		});
	}

	/** @throws when the upgrade is refused; the message carries the status and the body. */
	static async open(url: string, headers: Readonly<Record<string, string>> = {}): Promise<RawClient> {
		const client = new RawClient(new URL(url), headers);
		const timer = setTimeout(() => client.socket.tcp.destroy(new Error(`no answer within ${openMs} ms`)), openMs);
		try {
			await client.#opened;
			return client;
		} finally {
			clearTimeout(timer);
		}
	}

	send(data: string | Uint8Array): void {
		if (typeof data === "string") this.socket.send(Opcode.text, Buffer.from(data));
		else this.socket.send(Opcode.binary, data);
	}

	async close(code = 1000): Promise<void> {
		this.socket.close(code);
		await this.closed;
	}
}

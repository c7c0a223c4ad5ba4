import { connect, isIP, type Socket } from "node:net";
import { connect as connectSecure } from "node:tls";
import { FrameParser } from "./frame-parser.ts";
import { decodeClose, encodeClose, encodeFrame, Opcode } from "./frames.ts";
import { type HandshakeKey, parseResponseHead, type ResponseHead, upgradeRequest } from "./handshake.ts";

interface RawSocketOptions {
	readonly host: string;
	/** The host's name in the request and for TLS, when `host` is its address. */
	readonly name?: string;
	readonly port: number;
	/** With the query ("/ws?channels=a"). */
	readonly path: string;
	readonly key: HandshakeKey;
	/** Reads of every socket that is given the same buffer land in it, one after the other: none is kept between reads. */
	readonly readBuffer: Buffer;
	/** Source address; without it the kernel's choice, which has 28,000 ports per target. */
	readonly localAddress?: string;
	readonly headers?: Readonly<Record<string, string>>;
	readonly messageBytesMax?: number;
	/** The connection is encrypted. */
	readonly tls?: RawSocketTls;
}

export interface RawSocketTls {
	/** False = the server's certificate is not checked. */
	readonly verify: boolean;
	/** Certificate authority in PEM; undefined = those that Node knows. */
	readonly ca?: string | undefined;
	/** A session to be resumed; undefined = a full handshake. */
	readonly session?: Buffer | undefined;
	/** Gets sessions that can be resumed. */
	readonly onSession?: (session: Buffer) => void;
}

/** How a connection ended; exactly one is reported for each socket. */
export type SocketEnd =
	/** The server answered the upgrade with a status other than 101. */
	| { readonly kind: "refused"; readonly status: number; readonly body: string }
	/** The connection was refused, reset or closed before any answer. */
	| { readonly kind: "failed"; readonly message: string }
	/** A WebSocket was closed: by the code of the other side's close frame; 1006 when none came. */
	| { readonly kind: "closed"; readonly code: number; readonly reason: string };

/** Owner of sockets; one may own thousands. `bytes` is valid only during the call. */
export interface RawSocketHandler {
	opened(socket: RawSocket): void;
	message(socket: RawSocket, opcode: number, bytes: Buffer, start: number, end: number): void;
	ended(socket: RawSocket, end: SocketEnd): void;
}

const refusalBytesMax = 16_384;

/**
 * A WebSocket client on a bare TCP socket: for load (no allocation per read, a few hundred bytes per connection)
 * and for tests that must do what a well-behaved library will not: half a frame, no pong, a reset, an end to reading.
 * Pings are answered and a close frame is echoed, unless `passive` is set.
 */
export class RawSocket {
	/** The owner's number for it. */
	readonly id: number;
	/** The TCP socket below, for faults. */
	readonly tcp: Socket;
	/** Set to true, control frames are not answered. */
	passive = false;
	/** The TCP socket below an encrypted one. */
	#wire: Socket | null = null;
	readonly #handler: RawSocketHandler;
	readonly #options: RawSocketOptions;
	readonly #parser: FrameParser;
	/** The answer to the upgrade while it is incomplete, or that of a refusal; null once the WebSocket is open. */
	#answer: Buffer | null = Buffer.alloc(0);
	#refusal: ResponseHead | null = null;
	#close: { code: number; reason: string } | null = null;
	#closeSent = false;
	#error = "";
	#ended = false;

	constructor(id: number, options: RawSocketOptions, handler: RawSocketHandler) {
		this.id = id;
		this.#options = options;
		this.#handler = handler;
		this.#parser = new FrameParser(
			{
				message: (opcode, bytes, start, end) => handler.message(this, opcode, bytes, start, end),
				control: (opcode, bytes, start, end) => this.#control(opcode, bytes, start, end),
			},
			options.messageBytesMax,
		);
		this.tcp = options.tls === undefined ? this.#connect() : this.#connectSecure(options.tls);
		this.tcp.on(options.tls === undefined ? "connect" : "secureConnect", () => {
			const name = options.name ?? options.host;
			const host = name.includes(":") ? `[${name}]` : name;
			this.tcp.write(upgradeRequest(options.path, `${host}:${options.port}`, options.key.key, options.headers));
		});
		this.tcp.on("error", (error) => {
			this.#error = error.message;
		});
		this.tcp.on("close", () => this.#finish());
	}

	#connect(): Socket {
		const { host, port, localAddress, readBuffer: buffer } = this.#options;
		return connect({
			host,
			port,
			noDelay: true,
			...(localAddress !== undefined && { localAddress }),
			onread: {
				buffer,
				callback: (length) => {
					this.#read(buffer, length);
					return true;
				},
			},
		});
	}

	#connectSecure({ verify, ca, session, onSession }: RawSocketTls): Socket {
		const { host, name, port, localAddress, readBuffer } = this.#options;
		const tcp = connect({ host, port, noDelay: true, ...(localAddress !== undefined && { localAddress }) });
		// The secure socket reports the errors.
		tcp.on("error", () => {});
		this.#wire = tcp;
		const socket = connectSecure({
			socket: tcp,
			rejectUnauthorized: verify,
			// An address is in no certificate's SNI, but may be in the certificate.
			host: name ?? host,
			...(name !== undefined && isIP(name) === 0 && { servername: name }),
			...(ca !== undefined && { ca }),
			...(session !== undefined && { session }),
		});
		if (onSession !== undefined) socket.on("session", onSession);
		// Pieces of TLS records, at most 16 KiB; the owner looks for messages in its buffer.
		socket.on("data", (piece: Buffer) => this.#read(readBuffer, piece.copy(readBuffer)));
		return socket;
	}

	get isOpen(): boolean {
		return this.#answer === null && !this.#ended && !this.#closeSent;
	}

	/** Sends one message. Copied to the kernel at once while there is room, else kept by the socket (`tcp.writableLength`). */
	send(opcode: typeof Opcode.text | typeof Opcode.binary, payload: Uint8Array): void {
		this.tcp.write(encodeFrame(opcode, payload, { masked: true }));
	}

	/** Writes raw bytes. */
	sendBytes(bytes: Uint8Array): void {
		this.tcp.write(bytes);
	}

	/** Starts the closing handshake. The socket ends with the other side's close frame. */
	close(code = 1000, reason = ""): void {
		if (this.#closeSent || this.#ended) return;
		this.#closeSent = true;
		this.tcp.write(encodeClose(code, reason, { masked: true }));
	}

	/** Ends at once with RST: no closing handshake, and no port left in TIME_WAIT on this side. */
	reset(): void {
		if (this.#wire === null) this.tcp.resetAndDestroy();
		else {
			this.#wire.resetAndDestroy();
			this.tcp.destroy();
		}
	}

	#read(bytes: Buffer, length: number): void {
		try {
			if (this.#answer === null) this.#parser.push(bytes, 0, length);
			else this.#readAnswer(bytes, length);
		} catch (error) {
			this.#error = (error as Error).message;
			this.#close ??= { code: 1002, reason: this.#error };
			this.tcp.destroy();
		}
	}

	#readAnswer(bytes: Buffer, length: number): void {
		const answer = this.#answer!.length === 0 ? bytes.subarray(0, length) : Buffer.concat([this.#answer!, bytes.subarray(0, length)]);
		if (this.#refusal === null) {
			const head = parseResponseHead(answer, answer.length);
			if (head?.status === 101) {
				if (head.headers.get("sec-websocket-accept") !== this.#options.key.accept)
					throw new Error("the answer has the wrong Sec-WebSocket-Accept");
				this.#answer = null;
				this.#handler.opened(this);
				this.#parser.push(answer, head.bytes, answer.length);
				return;
			}
			this.#refusal = head;
		}
		if (this.#refusal !== null) {
			const bodyBytes = Number(this.#refusal.headers.get("content-length") ?? refusalBytesMax);
			if (answer.length >= Math.min(this.#refusal.bytes + bodyBytes, refusalBytesMax)) this.tcp.destroy();
		}
		this.#answer = Buffer.from(answer);
	}

	#control(opcode: number, bytes: Buffer, start: number, end: number): void {
		if (opcode === Opcode.close) {
			this.#close ??= decodeClose(bytes, start, end);
			if (this.passive) return;
			if (!this.#closeSent) this.close(this.#close.code);
			this.tcp.end();
		} else if (opcode === Opcode.ping && !this.passive && this.isOpen) {
			this.sendBytes(encodeFrame(Opcode.pong, bytes.subarray(start, end), { masked: true }));
		}
	}

	#finish(): void {
		this.#ended = true;
		if (this.#refusal !== null) {
			const body = this.#answer!.toString("utf8", this.#refusal.bytes);
			this.#handler.ended(this, { kind: "refused", status: this.#refusal.status, body });
		} else if (this.#answer !== null) {
			this.#handler.ended(this, { kind: "failed", message: this.#error || "closed by the server without an answer" });
		} else {
			this.#handler.ended(this, { kind: "closed", ...(this.#close ?? { code: 1006, reason: this.#error }) });
		}
	}
}

/** For people: "refused with 503: …", "closed with 3008 slow". */
export function describeEnd(end: SocketEnd): string {
	switch (end.kind) {
		case "refused":
			return `refused with ${end.status}: ${end.body.slice(0, 200)}`;
		case "failed":
			return `failed: ${end.message}`;
		case "closed":
			return `closed with ${end.code}${end.reason === "" ? "" : ` ${end.reason}`}`;
		default:
			return end satisfies never;
	}
}

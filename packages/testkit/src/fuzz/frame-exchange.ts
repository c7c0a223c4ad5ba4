import { connect } from "node:net";
import { FrameParser } from "../websocket/frame-parser.ts";
import { decodeClose, Opcode } from "../websocket/frames.ts";
import { handshakeKey, parseResponseHead, upgradeRequest } from "../websocket/handshake.ts";
import { clientFrame, Fin } from "./client-frames.ts";

interface FrameExchange {
	readonly port: number;
	/** With the query. */
	readonly path: string;
	readonly headers?: Readonly<Record<string, string>>;
	/** Written one after the other, each by itself. */
	readonly pieces: readonly Buffer[];
	/** The pieces end within a frame: the end of the connection follows at once, since the server will not answer a ping. */
	readonly endsWithinFrame?: boolean;
	/** An exchange that takes longer has failed. */
	readonly deadlineMs?: number;
}

/** What a client has seen of a server until the connection was closed. */
export interface FramesSeen {
	readonly messages: readonly { readonly opcode: number; readonly bytes: Buffer }[];
	/** In the order of arrival, without the one that ends the exchange. */
	readonly pongs: readonly string[];
	/** The code of the close frame, 1005 = it had none; null = no close frame. */
	readonly closeCode: number | null;
	/** It has answered the ping behind all pieces, so it has read them, and the connection was open. */
	readonly stayedOpen: boolean;
}

const lastPing = "behind all";

/**
 * Connects, sends the pieces, a ping, and the end of the connection, and tells what the server has sent by the time that it has closed too.
 * Nothing is timed: a server that still serves answers the ping, one that does not closes.
 */
export function exchangeFrames({
	port,
	path,
	headers = {},
	pieces,
	endsWithinFrame = false,
	deadlineMs = 20_000,
}: FrameExchange): Promise<FramesSeen> {
	const messages: { opcode: number; bytes: Buffer }[] = [];
	const pongs: string[] = [];
	let closeCode: number | null = null;
	let stayedOpen = false;
	const parser = new FrameParser({
		message: (opcode, bytes, start, end) => void messages.push({ opcode, bytes: Buffer.from(bytes.subarray(start, end)) }),
		control: (opcode, bytes, start, end) => {
			const text = bytes.toString("latin1", start, end);
			if (opcode === Opcode.close) closeCode ??= decodeClose(bytes, start, end).code;
			else if (opcode === Opcode.pong && text === lastPing) stayedOpen = true;
			else if (opcode === Opcode.pong) pongs.push(text);
		},
	});
	return new Promise((resolve, reject) => {
		const socket = connect({ port, host: "127.0.0.1", noDelay: true, allowHalfOpen: true });
		const timer = setTimeout(() => {
			reject(new Error(`${path}: the server has not closed the connection within ${deadlineMs} ms`));
			socket.destroy();
		}, deadlineMs);
		// The ping goes with the last piece.
		const parts = endsWithinFrame
			? pieces
			: [...pieces.slice(0, -1), Buffer.concat([...pieces.slice(-1), clientFrame(Fin | Opcode.ping, lastPing)])];
		const write = (index: number): void => {
			if (socket.destroyed || socket.writableEnded) return;
			if (index < parts.length) socket.write(parts[index]!, () => setImmediate(() => write(index + 1)));
			else if (endsWithinFrame) socket.end();
		};
		let head: Buffer | null = Buffer.alloc(0);
		socket.on("data", (bytes) => {
			try {
				if (head === null) {
					parser.push(bytes, 0, bytes.length);
					if (stayedOpen) socket.end();
					return;
				}
				head = Buffer.concat([head, bytes]);
				const answer = parseResponseHead(head, head.length);
				if (answer === null) return;
				if (answer.status !== 101) throw new Error(`refused with ${answer.status}: ${head.toString("latin1", answer.bytes)}`);
				const rest = head.subarray(answer.bytes);
				head = null;
				parser.push(rest, 0, rest.length);
				write(0);
			} catch (error) {
				reject(error);
				socket.destroy();
			}
		});
		// The server may be gone with bytes unread: what it has sent before counts.
		socket.on("error", () => {});
		socket.on("end", () => socket.end());
		socket.on("close", () => {
			clearTimeout(timer);
			if (head !== null) reject(new Error(`${path}: closed before the WebSocket was open`));
			else resolve({ messages, pongs, closeCode, stayedOpen });
		});
		socket.write(upgradeRequest(path, `127.0.0.1:${port}`, handshakeKey().key, headers));
	});
}

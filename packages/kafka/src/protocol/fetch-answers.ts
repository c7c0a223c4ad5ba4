import type { ISocketFactory } from "kafkajs";
import { AnswerBuffers } from "../client/answer-buffers.ts";
import { AnswerFrames } from "../client/answer-frames.ts";
import { openBrokerSocket } from "../client/broker-socket.ts";
import type { ProtocolRequest } from "./fetch-protocol.ts";

/** Request: `size(4) | api key(2) | version(2) | correlation id(4)`; answer: `size(4) | correlation id(4) | body`. */
const Layout = { apiKey: 4, requestCorrelation: 8, requestHeadBytes: 12, answerCorrelation: 4, body: 8 } as const;
const fetchApiKey = 1;
/** Length of the token that replaces a parked body. */
const tokenBytes = 4;

interface Parked {
	readonly body: Buffer;
	readonly buffer: Buffer;
}

/** An answer in a reusable buffer. */
interface Leased<T> {
	readonly answer: T;
	/** Call when you no longer use the answer's bytes. If you do not, the buffer is garbage collected instead of reused. */
	release(): void;
}

/**
 * Lets fetch answers bypass kafkajs. A kafkajs connection collects an answer in new 64 KiB chunks and then copies them together, which
 * costs more than all other work on the records. Here the sockets read into reusable buffers and park the body of a fetch answer.
 * kafkajs gets a short body with a token instead: it still matches answers to requests, times requests out and reports errors.
 * **One per source, used by one thread.**
 *
 * Bound: one parked body per connection, since each has one fetch in progress.
 */
export class FetchAnswers {
	readonly #buffers: AnswerBuffers;
	readonly #parked = new Map<number, Parked>();
	#tokens = 0;

	/** @param answerBytesMax the limit in each fetch request. */
	constructor(answerBytesMax: number) {
		// The first batch may exceed the limit; the headers of the answer are small.
		this.#buffers = new AnswerBuffers(answerBytesMax + 64 * 1024);
	}

	/** For kafkajs' `socketFactory`. */
	readonly socketFactory: ISocketFactory = (options) => {
		const token = this.#tokens++;
		const fetches = new Set<number>();
		const frames = new AnswerFrames(this.#buffers, (frame, buffer) => {
			const correlation = frame.readInt32BE(Layout.answerCorrelation);
			if (fetches.delete(correlation)) socket.emit("data", this.#park(token, frame, buffer));
			else {
				// A copy: kafkajs may keep it.
				socket.emit("data", Buffer.from(frame));
				this.#buffers.give(buffer);
			}
		});
		const socket = openBrokerSocket(options, {
			buffer: () => frames.room(),
			callback: (bytes: number) => {
				try {
					frames.written(bytes);
				} catch (error) {
					socket.destroy(error as Error);
					return false;
				}
				return true;
			},
		});
		this.#buffers.connections++;
		socket.once("close", () => {
			this.#buffers.connections--;
			this.#parked.delete(token);
		});
		const write = socket.write.bind(socket) as (chunk: Buffer, ...rest: unknown[]) => boolean;
		socket.write = (chunk: Buffer | Uint8Array | string, ...rest: unknown[]) => {
			const request = chunk as Buffer;
			if (request.length >= Layout.requestHeadBytes && request.readInt16BE(Layout.apiKey) === fetchApiKey)
				fetches.add(request.readInt32BE(Layout.requestCorrelation));
			return write(request, ...rest);
		};
		return socket;
	};

	/** Sends a fetch over a connection made by `socketFactory`. */
	async send<T>(connections: { send<U>(request: ProtocolRequest<U>): Promise<U> }, request: ProtocolRequest<T>): Promise<Leased<T>> {
		let parked: Parked | undefined;
		const { response } = request;
		const decode = (body: Buffer): Promise<T> => {
			parked = this.#unpark(body);
			return response.decode(parked.body);
		};
		const answer = await connections.send({ ...request, response: { ...response, decode } });
		return { answer, release: () => void (parked !== undefined && this.#buffers.give(parked.buffer)) };
	}

	#park(token: number, frame: Buffer, buffer: Buffer): Buffer {
		this.#parked.set(token, { body: frame.subarray(Layout.body), buffer });
		const short = Buffer.alloc(Layout.body + tokenBytes);
		short.writeInt32BE(short.length - Layout.answerCorrelation, 0);
		frame.copy(short, Layout.answerCorrelation, Layout.answerCorrelation, Layout.body);
		short.writeInt32BE(token, Layout.body);
		return short;
	}

	#unpark(body: Buffer): Parked {
		const token = body.readInt32BE(0);
		const parked = this.#parked.get(token);
		if (parked === undefined) throw new Error("the connection closed before its fetch answer was taken");
		this.#parked.delete(token);
		return parked;
	}
}

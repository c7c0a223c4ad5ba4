import type { ReplyStream } from "@shardcast/http";
import type { Session } from "../sessions/session.ts";
import { Sent, type Transport } from "./transport.ts";

export interface StreamTransportOptions {
	/** Bytes that may wait for the client; a message beyond them is dropped. */
	readonly bufferedBytesMax: number;
	/** What the client is told at the end: a stream has no close code. */
	readonly farewell: (code: number, reason: string) => Uint8Array;
}

const cutCode = 1006;

/**
 * An HTTP answer in parts as the connection of a client: server-sent events, or a stream of messages. One way only: what the client says comes
 * by other requests. Messages are written as they are, so whoever sends puts them into the format of the stream.
 */
export class StreamTransport implements Transport {
	readonly #stream: ReplyStream;
	readonly #session: Pick<Session, "dropped" | "closed">;
	readonly #options: StreamTransportOptions;
	#endCode = cutCode;

	constructor(stream: ReplyStream, session: Pick<Session, "dropped" | "closed">, options: StreamTransportOptions) {
		this.#stream = stream;
		this.#session = session;
		this.#options = options;
	}

	send(message: string | Uint8Array): Sent {
		if (this.#stream.bufferedBytes > this.#options.bufferedBytesMax) {
			this.#session.dropped();
			return Sent.dropped;
		}
		return this.#stream.write(message) === 0 ? Sent.written : Sent.buffered;
	}

	getBufferedAmount(): number {
		return this.#stream.bufferedBytes;
	}

	end(code: number, reason: string): void {
		this.#endCode = code;
		this.#stream.write(this.#options.farewell(code, reason));
		this.#stream.close();
	}

	close(): void {
		this.#stream.cut();
	}

	getRemoteAddressAsText(): ArrayBuffer {
		return this.#stream.remoteAddress();
	}

	/** To be called when the stream is over, whichever side ended it. */
	over(): void {
		this.#session.closed(this.#endCode);
	}
}

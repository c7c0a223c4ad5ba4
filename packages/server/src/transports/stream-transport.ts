import type { ReplyStream } from "@shardcast/http";
import type { Session } from "../sessions/session.ts";
import { Sent, type Transport } from "./transport.ts";

interface StreamTransportOptions {
	/** Most buffered bytes; a message that exceeds them is dropped. */
	readonly bufferedBytesMax: number;
	/** Encodes the last part, which tells the client code and reason, since a stream has no close frame. */
	readonly farewell: (code: number, reason: string) => Uint8Array;
}

const cutCode = 1006;

/**
 * An HTTP stream as the transport of a client: server-sent events, or a stream of messages. One way only: the client sends its messages in other
 * requests. Messages are written unchanged, so the sender must encode them in the format of the stream.
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

	/** Call when the stream has ended, whichever side ended it. */
	over(): void {
		this.#session.closed(this.#endCode);
	}
}

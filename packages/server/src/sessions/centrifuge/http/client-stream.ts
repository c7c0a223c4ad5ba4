import type { ReplyStream, StreamStart } from "@shardcast/http";
import { DisconnectCode, disconnects } from "@shardcast/protocol";
import { StreamTransport } from "../../../transports/stream-transport.ts";
import type { CentrifugeSession } from "../centrifuge-session.ts";

interface ClientStreamOptions {
	/** The Content-Type header. */
	readonly type: string;
	/** Written first; "" = nothing. */
	readonly preface: string;
	/** The body of the request: the client's first frame. */
	readonly first: Uint8Array;
	readonly bufferedBytesMax: number;
	/** The stream could not be opened. */
	readonly notOpened: () => void;
}

/** Otherwise proxies hold parts back until they have some KB. */
const headers = { "X-Accel-Buffering": "no" };

/** One client's stream, from its request to its end. */
export class ClientStream implements StreamStart {
	readonly type: string;
	readonly headers = headers;
	readonly #session: CentrifugeSession;
	readonly #options: ClientStreamOptions;
	#transport: StreamTransport | null = null;

	constructor(session: CentrifugeSession, options: ClientStreamOptions) {
		this.type = options.type;
		this.#session = session;
		this.#options = options;
	}

	opened(stream: ReplyStream): void {
		const { bufferedBytesMax, preface, first } = this.#options;
		const transport = new StreamTransport(stream, this.#session, {
			bufferedBytesMax,
			farewell: (code, reason) => this.#closeMessage(code, reason),
		});
		this.#transport = transport;
		stream.write(preface);
		this.#session.opened(transport);
		this.#session.frame(new Uint8Array(first).buffer);
	}

	closed(): void {
		if (this.#transport === null) this.#options.notOpened();
		else this.#transport.over();
	}

	writable(): void {
		this.#session.writable();
	}

	/** Close codes of WebSockets have no meaning here. */
	#closeMessage(code: number, reason: string): Uint8Array {
		const { framing } = this.#session;
		const disconnect = code < DisconnectCode.connectionClosed ? disconnects[DisconnectCode.serverError] : { code, reason };
		return framing.frame([framing.encode({ push: { disconnect } })]);
	}
}

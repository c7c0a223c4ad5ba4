import type { RecordKind } from "@shardcast/wire";

/** A message on its way in. Valid until the last handler has returned: `payload` lies in the socket's own buffer. */
export interface MessageContext {
	/** `host`: the program that runs the server, by `server.publish`. */
	readonly source: "websocket" | "http" | "host";
	readonly kind: RecordKind;
	/** None = to everybody. */
	readonly channels: readonly string[];
	/** Where it came from: an IP address. */
	readonly address: string;
	/** A handler may put other bytes here; those go out. */
	payload: Uint8Array;
}

/**
 * Sees each message before it is published: calls `next` to let it through, or does not. Synchronous, since the payload is.
 * An exception costs this one message.
 */
export type Middleware = (context: MessageContext, next: () => void) => void;

/**
 * Handlers around the publishing of a message, the first one added outermost. Without any, nothing is called and no context is
 * made: look at `isEmpty` first.
 */
export class MiddlewareChain {
	readonly #handlers: Middleware[] = [];

	use(handler: Middleware): void {
		this.#handlers.push(handler);
	}

	get isEmpty(): boolean {
		return this.#handlers.length === 0;
	}

	/** @throws what a handler or `last` throws, and when a handler calls `next` twice (it would publish twice) or too late. */
	run(context: MessageContext, last: () => void): void {
		let running = true;
		const call = (index: number): void => {
			if (index === this.#handlers.length) {
				last();
				return;
			}
			let called = false;
			this.#handlers[index](context, () => {
				if (called) throw new Error("a handler called next() twice for one message");
				if (!running) throw new Error("a handler called next() after it had returned: the message's bytes are gone");
				called = true;
				call(index + 1);
			});
		};
		try {
			call(0);
		} finally {
			running = false;
		}
	}
}

import type { Publishing } from "@shardcast/wire";
import type { MessageContext, Middleware } from "./middleware.ts";

/** One message on its way through the handlers, the first of them outermost. */
export class MessageRun {
	/** What `last` has said; null until then. */
	published: Publishing | null = null;
	readonly #handlers: readonly Middleware[];
	readonly #context: MessageContext;
	readonly #last: () => Publishing;
	#over = false;

	/** @param last publishes the message. */
	constructor(handlers: readonly Middleware[], context: MessageContext, last: () => Publishing) {
		this.#handlers = handlers;
		this.#context = context;
		this.#last = last;
	}

	/**
	 * Calls the handlers, once. @returns a promise when one of them waits.
	 * @throws what a handler or `last` throws, and when a handler calls `next` twice (it would publish twice) or too late.
	 */
	start(): Promise<void> | undefined {
		return this.#call(0);
	}

	/** From now on no handler can let the message through. */
	end(): void {
		this.#over = true;
	}

	#call(index: number): Promise<void> | undefined {
		if (index === this.#handlers.length) {
			this.published = this.#last();
			return undefined;
		}
		let called = false;
		let open = true;
		let inner: Promise<void> | undefined;
		let innerWaits = false;
		const next = (): Promise<void> | undefined => {
			if (called) throw new Error("a handler called next() twice for one message");
			if (!open || this.#over) throw new Error("a handler called next() too late: it had returned, or its time was over");
			called = true;
			inner = this.#call(index + 1);
			if (inner !== undefined) {
				innerWaits = true;
				const done = () => {
					innerWaits = false;
				};
				inner.then(done, done);
			}
			return inner;
		};
		let returned: ReturnType<Middleware>;
		try {
			returned = this.#handlers[index]!(this.#context, next);
		} finally {
			open = false;
		}
		if (!isPromise(returned)) return inner;
		open = true;
		const wait = async (promise: PromiseLike<void>): Promise<void> => {
			try {
				await promise;
			} finally {
				open = false;
			}
			// A handler that did not wait for those inside must not make their failure unheard.
			if (innerWaits) await inner;
		};
		return wait(returned);
	}
}

/** Of any kind: a handler may use another library's. */
export function isPromise(value: unknown): value is PromiseLike<void> {
	return typeof (value as { then?: unknown } | undefined | null)?.then === "function";
}

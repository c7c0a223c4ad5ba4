import type { Publishing } from "@shardcast/wire";
import type { MessageContext, Middleware } from "./incoming/middleware.ts";

/** The run of a message through the handlers; the first one is outermost. */
export class MessageRun {
	/** The result of `last`; null before that. */
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
	 * Calls the handlers, once. @returns a promise if one of them waits.
	 * @throws errors of a handler or of `last`, and when a handler calls `next` twice (this would publish twice) or too late.
	 */
	start(): Promise<void> | undefined {
		return this.#call(0);
	}

	/** Ends the run: no handler can let the message through any more. */
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
		let inner: InnerPromise<void> | undefined;
		const next = (): Promise<void> | undefined => {
			if (called) throw new Error("a handler called next() twice for one message");
			if (!open || this.#over) throw new Error("a handler called next() too late: it had returned, or its deadline had passed");
			called = true;
			const waits = this.#call(index + 1);
			if (waits !== undefined) inner = InnerPromise.of(waits);
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
			// If a handler did not wait for the inner ones, their failure must still be reported. A failure that it caught is handled.
			if (inner?.needsWait) await inner;
		};
		return wait(returned);
	}
}

/** The result of `next`, which records whether the outer handler uses it. Created only if a handler waits. */
class InnerPromise<T> extends Promise<T> {
	/** `then`, and so `await`, `catch` and `finally`, return ordinary promises. */
	static override readonly [Symbol.species] = Promise;
	#isHeard = false;
	#isSettled = false;

	static of(waits: Promise<void>): InnerPromise<void> {
		const inner = new InnerPromise<void>((resolve, reject) => void waits.then(resolve, reject));
		const settled = () => {
			inner.#isSettled = true;
		};
		// Otherwise an unhandled rejection would end the process.
		void Promise.prototype.then.call(inner, settled, settled);
		return inner;
	}

	/** Whether the inner handlers still wait, or the outer handler does not know their result. */
	get needsWait(): boolean {
		return !this.#isSettled || !this.#isHeard;
	}

	// biome-ignore lint/suspicious/noThenProperty: it is a promise.
	override then<A = T, B = never>(
		fulfilled?: ((value: T) => A | PromiseLike<A>) | null,
		rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
	): Promise<A | B> {
		this.#isHeard = true;
		return super.then(fulfilled, rejected);
	}
}

/** Accepts any thenable, since handlers may use other libraries' promises. */
export function isPromise(value: unknown): value is PromiseLike<void> {
	return typeof (value as { then?: unknown } | undefined | null)?.then === "function";
}

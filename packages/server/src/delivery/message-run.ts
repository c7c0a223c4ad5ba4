import type { Publishing } from "@shardcast/wire";
import type { MessageContext, Middleware } from "./incoming/middleware.ts";

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
		let inner: InnerPromise<void> | undefined;
		const next = (): Promise<void> | undefined => {
			if (called) throw new Error("a handler called next() twice for one message");
			if (!open || this.#over) throw new Error("a handler called next() too late: it had returned, or its time was over");
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
			// A handler that did not wait for those inside must not make their failure unheard; one that it caught is its business.
			if (inner?.needsWait) await inner;
		};
		return wait(returned);
	}
}

/** What `next` returns: it knows whether the handler outside has taken notice of it. Made only for a handler that waits. */
class InnerPromise<T> extends Promise<T> {
	/** What `then` returns, and so `await`, `catch` and `finally`, is an ordinary promise. */
	static override readonly [Symbol.species] = Promise;
	#isHeard = false;
	#isSettled = false;

	static of(waits: Promise<void>): InnerPromise<void> {
		const inner = new InnerPromise<void>((resolve, reject) => void waits.then(resolve, reject));
		const settled = () => {
			inner.#isSettled = true;
		};
		// Without this a failure that nobody hears would end the process.
		void Promise.prototype.then.call(inner, settled, settled);
		return inner;
	}

	/** Whether the handlers inside still wait, or the handler outside cannot know how they ended. */
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

/** Of any kind: a handler may use another library's. */
export function isPromise(value: unknown): value is PromiseLike<void> {
	return typeof (value as { then?: unknown } | undefined | null)?.then === "function";
}

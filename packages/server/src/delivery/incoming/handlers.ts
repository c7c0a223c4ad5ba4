import { isUtf8 } from "node:buffer";
import { Deadline, DeadlineError, withDeadline } from "@shardcast/process";
import type { Counters } from "@shardcast/scoreboard";
import { type Publishing, publishFailed, publishFull, publishStopped, RecordKind } from "@shardcast/wire";
import { isPromise, MessageRun } from "../message-run.ts";
import type { MessageContext, MessageHandler, Middleware } from "./middleware.ts";
import { WaitingMessages, type WaitingMessagesLimits } from "./waiting-messages.ts";

/** Messages of a sender that are published in order, up to the first that finds no room. */
export interface MessageBatch {
	/** Set by `Handlers` when a message found no room. The messages after it are `full` too, and no handler gets them. */
	isOver: boolean;
}

interface HandlersParts {
	readonly counters: Pick<Counters, "add">;
	readonly payloadBytesMax: number;
	/** Time limit for a message, in milliseconds from its arrival: for waiting behind others and for its handlers. */
	readonly deadlineMs: number;
	readonly limits: WaitingMessagesLimits;
	/** Called with an exception of a handler, and when one did not finish in time. */
	readonly onError: (error: unknown) => void;
}

/**
 * Middleware around the publishing of messages; the first one added is outermost. Check `isEmpty` first, so that without handlers no context is
 * created. As long as no handler waits, a message costs its context, a run, and a `next` per handler: no promise, no copy.
 *
 * Owned by the shard's loop. A handler may be asynchronous: then later messages of the same sender wait behind it (`WaitingMessages`). A message that
 * is not published within the deadline, counted from its arrival, is lost and counted, so that a sender's queue is bounded in time. Later actions of
 * its handlers have no effect.
 */
export class Handlers {
	readonly #parts: HandlersParts;
	readonly #waiting: WaitingMessages;
	readonly #handlers: Middleware[] = [];
	#last: MessageHandler | null = null;
	/** Whether a handler has waited, or may wait: then messages are copied before the first handler gets them. */
	#mayWait = false;

	constructor(parts: HandlersParts) {
		this.#parts = parts;
		this.#waiting = new WaitingMessages(parts.limits);
	}

	/** Adds a handler inside the existing ones. */
	use(handler: Middleware): void {
		this.#handlers.push(handler);
		if (handler.constructor.name === "AsyncFunction") this.#mayWait = true;
	}

	/** Sets the function that gets each message that passes all handlers. */
	setLast(handler: MessageHandler): void {
		this.#last = handler;
	}

	get isEmpty(): boolean {
		return this.#handlers.length === 0 && this.#last === null;
	}

	/** Number of messages whose handlers wait, and of those behind them. */
	get waiting(): number {
		return this.#waiting.count;
	}

	/** Resolves when no message waits. */
	whenNone(): Promise<void> {
		return this.#waiting.whenNone();
	}

	/**
	 * Passes a message through the handlers, after waiting messages of the same sender.
	 * @param sender the order of its messages is kept.
	 * @param publish gets the payload after all handlers, once; not called if a handler stops the message.
	 * @param batch the batch of the message.
	 * @returns the result; `full` when no more messages may wait.
	 */
	take(sender: object, context: MessageContext, publish: (payload: Uint8Array) => Publishing, batch?: MessageBatch): Publishing {
		const payloadBytes = context.payload.length;
		// A handler may change its context, but the message keeps its kind.
		const { kind } = context;
		if (!this.#waiting.hasRoom(sender, payloadBytes)) {
			this.#parts.counters.add("handlersFull", 1);
			return publishFull;
		}
		if (this.#waiting.isBehind(sender)) {
			context.payload = new Uint8Array(context.payload);
			const deadline = new Deadline(this.#parts.deadlineMs);
			return new Promise((resolve) => {
				this.#waiting.addBehind(sender, payloadBytes, () => {
					if (batch?.isOver) {
						resolve(publishFull);
						return undefined;
					}
					const run = new MessageRun(this.#handlers, context, () => this.#publish(context, kind, publish, batch));
					const handled = this.#startBehind(run, context, deadline.leftMs());
					resolve(resultOf(run, handled));
					return handled;
				});
			});
		}
		const run = new MessageRun(this.#handlers, context, () => this.#publish(context, kind, publish, batch));
		const handled = this.#start(run, context, this.#parts.deadlineMs, false);
		if (handled !== undefined) this.#waiting.add(sender, payloadBytes, handled);
		return resultOf(run, handled);
	}

	/** Starts a message that has waited. After its deadline no handler gets it. */
	#startBehind(run: MessageRun, context: MessageContext, leftMs: number): Promise<void> | undefined {
		if (leftMs > 0) return this.#start(run, context, leftMs, true);
		this.#failed(run, new DeadlineError("the handlers of earlier messages", this.#parts.deadlineMs));
		return undefined;
	}

	/** @returns a promise that never rejects, if handlers wait. */
	#start(run: MessageRun, context: MessageContext, leftMs: number, isCopy: boolean): Promise<void> | undefined {
		const copiesFirst = this.#mayWait && !isCopy;
		if (copiesFirst) context.payload = new Uint8Array(context.payload);
		let waits: Promise<void> | undefined;
		try {
			waits = run.start();
			if (waits === undefined) {
				run.end();
				return undefined;
			}
			// The socket's bytes are invalid when this returns. A payload that is not bytes is refused when it is published.
			const { payload } = context;
			if (!copiesFirst && !isCopy && payload instanceof Uint8Array) context.payload = new Uint8Array(payload);
			this.#mayWait = true;
			return this.#settled(run, waits, leftMs, isCopy ? "a handler of a message that had waited" : "a handler");
		} catch (error) {
			waits?.catch(() => {});
			this.#failed(run, error);
			return undefined;
		}
	}

	async #settled(run: MessageRun, waits: Promise<void>, leftMs: number, what: string): Promise<void> {
		try {
			await withDeadline(waits, leftMs, what);
			run.end();
		} catch (error) {
			this.#failed(run, error);
		}
	}

	#failed(run: MessageRun, error: unknown): void {
		run.end();
		// A failure after the publishing does not undo it.
		run.published ??= publishFailed;
		this.#report(error);
	}

	/** Reports an error. Never throws: a thrown value may throw when it is inspected, and messages wait behind this one. */
	#report(error: unknown): void {
		let counter: "handlerTimeouts" | "handlerErrors" = "handlerErrors";
		try {
			if (error instanceof DeadlineError) counter = "handlerTimeouts";
			this.#parts.onError(error);
		} catch {
			// It is counted below.
		}
		this.#parts.counters.add(counter, 1);
	}

	#publish(context: MessageContext, kind: RecordKind, publish: (payload: Uint8Array) => Publishing, batch?: MessageBatch): Publishing {
		if (this.#last !== null) {
			// The handler gets only a valid payload, but may change it, so it is checked again. A check reads the bytes of a text once.
			this.#check(context.payload, kind);
			const returned: unknown = this.#last(context);
			// Nothing waits for the promise, but an unhandled rejection would end the process.
			if (isPromise(returned)) returned.then(undefined, (error: unknown) => this.#report(error));
		}
		const { payload } = context;
		this.#check(payload, kind);
		const result = publish(payload);
		// Set here and not when the result is used, since the next message of the batch may be handled before that.
		if (batch !== undefined && !(result instanceof Promise) && result.outcome === "full") batch.isOver = true;
		return result;
	}

	/** Checks a payload from a handler by the same limits as for incoming messages. */
	#check(payload: Uint8Array, kind: RecordKind): void {
		if (!(payload instanceof Uint8Array)) throw new TypeError(`a handler put a ${typeof payload} into payload; it must be a Uint8Array`);
		if (payload.length > this.#parts.payloadBytesMax) throw new RangeError(`a handler made a message of ${payload.length} bytes`);
		// Clients would close their connection on a text frame that is not UTF-8.
		if (kind === RecordKind.text && !isUtf8(payload))
			throw new TypeError("a handler made a text message that is not UTF-8; change strings, not bytes");
	}
}

function resultOf(run: MessageRun, handled: Promise<void> | undefined): Publishing {
	if (handled === undefined) return run.published ?? publishStopped;
	return handled.then(() => run.published ?? publishStopped);
}

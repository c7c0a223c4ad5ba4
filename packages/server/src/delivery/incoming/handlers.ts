import { isUtf8 } from "node:buffer";
import { Deadline, DeadlineError, withDeadline } from "@shardcast/process";
import type { Counters } from "@shardcast/scoreboard";
import { type Publishing, publishFailed, publishFull, publishStopped, RecordKind } from "@shardcast/wire";
import { isPromise, MessageRun } from "../message-run.ts";
import type { MessageContext, MessageHandler, Middleware } from "./middleware.ts";
import { WaitingMessages, type WaitingMessagesLimits } from "./waiting-messages.ts";

/** Messages of one sender that are published in order, up to the first that finds no room. */
export interface MessageBatch {
	/** Set by `Handlers` when a message found no room: those behind it are `full` as well, and no handler sees them. */
	isOver: boolean;
}

export interface HandlersParts {
	readonly counters: Pick<Counters, "add">;
	readonly payloadBytesMax: number;
	/** How long one message may wait behind others and for its handlers, in milliseconds from its arrival. */
	readonly deadlineMs: number;
	readonly limits: WaitingMessagesLimits;
	/** Told about an exception of a handler, and about one that did not settle in time. */
	readonly onError: (error: unknown) => void;
}

/**
 * Middleware around the publishing of messages, the first one added outermost. Without any, nothing is called and no context is made: look at
 * `isEmpty` first. As long as no handler waits, a message costs its context, a run and a `next` for each handler: no promise, no copy.
 *
 * One owner, the shard's loop. A handler may wait: messages of the same sender then wait behind it (`WaitingMessages`). A message
 * that is not through within the deadline, counted from its arrival, is lost and counted, so a sender's queue is bounded in time; what its
 * handlers do later has no effect.
 */
export class Handlers {
	readonly #parts: HandlersParts;
	readonly #waiting: WaitingMessages;
	readonly #handlers: Middleware[] = [];
	#last: MessageHandler | null = null;
	/** Whether a handler has waited, or may: then messages are copied before the first one sees them. */
	#mayWait = false;

	constructor(parts: HandlersParts) {
		this.#parts = parts;
		this.#waiting = new WaitingMessages(parts.limits);
	}

	/** Adds a handler inside those that are there. */
	use(handler: Middleware): void {
		this.#handlers.push(handler);
		if (handler.constructor.name === "AsyncFunction") this.#mayWait = true;
	}

	/** Sets the function that sees each message that passes all handlers. */
	setLast(handler: MessageHandler): void {
		this.#last = handler;
	}

	get isEmpty(): boolean {
		return this.#handlers.length === 0 && this.#last === null;
	}

	/** Messages whose handlers wait, and those behind them. */
	get waiting(): number {
		return this.#waiting.count;
	}

	/** Resolves when no message waits. */
	whenNone(): Promise<void> {
		return this.#waiting.whenNone();
	}

	/**
	 * Takes a message through the handlers, behind those of the same sender that wait.
	 * @param sender whose order is kept.
	 * @param publish is given what the handlers made of the message, once, and not at all when they stopped it.
	 * @param batch that the message is part of.
	 * @returns what came of it; `full` when no more may wait.
	 */
	take(sender: object, context: MessageContext, publish: (payload: Uint8Array) => Publishing, batch?: MessageBatch): Publishing {
		const payloadBytes = context.payload.length;
		// A handler may write into its context, but what goes out keeps the kind that came in.
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

	/** Of a message that has waited. When its time is over no handler sees it. */
	#startBehind(run: MessageRun, context: MessageContext, leftMs: number): Promise<void> | undefined {
		if (leftMs > 0) return this.#start(run, context, leftMs, true);
		this.#failed(run, new DeadlineError("the handlers of earlier messages", this.#parts.deadlineMs));
		return undefined;
	}

	/** @returns a promise, which never rejects, while handlers wait. */
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
			// The socket's bytes are gone when this returns. What is no bytes is refused when it is to go out.
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
		// One that failed behind the publishing has not taken it back.
		run.published ??= publishFailed;
		this.#tell(error);
	}

	/** Never throws: a value that was thrown may throw when somebody looks at it, and messages wait behind this one. */
	#tell(error: unknown): void {
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
			// It sees only what may go out; it may change that, so the payload is checked again. Each check reads the bytes of a text once.
			this.#check(context.payload, kind);
			const returned: unknown = this.#last(context);
			// Nobody waits for it, but unheard it would end the process.
			if (isPromise(returned)) returned.then(undefined, (error: unknown) => this.#tell(error));
		}
		const { payload } = context;
		this.#check(payload, kind);
		const result = publish(payload);
		// Here and not when the result is read: the next message of the batch may be handled before that.
		if (batch !== undefined && !(result instanceof Promise) && result.outcome === "full") batch.isOver = true;
		return result;
	}

	/** What handlers put in goes out, so it is held to the same limits as what came in. */
	#check(payload: Uint8Array, kind: RecordKind): void {
		if (!(payload instanceof Uint8Array)) throw new TypeError(`a handler put a ${typeof payload} into payload; it takes a Uint8Array`);
		if (payload.length > this.#parts.payloadBytesMax) throw new RangeError(`a handler made a message of ${payload.length} bytes`);
		// A text frame that is no UTF-8 would make every client close its connection.
		if (kind === RecordKind.text && !isUtf8(payload))
			throw new TypeError("a handler made a text message that is no UTF-8; change strings, not bytes");
	}
}

function resultOf(run: MessageRun, handled: Promise<void> | undefined): Publishing {
	if (handled === undefined) return run.published ?? publishStopped;
	return handled.then(() => run.published ?? publishStopped);
}

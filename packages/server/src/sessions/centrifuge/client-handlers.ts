import { DeadlineError, withDeadline } from "@shardcast/process";
import { DisconnectCode, ErrorCode, type RpcRequest, type SendRequest } from "@shardcast/protocol";
import type { Counters } from "@shardcast/scoreboard";
import type { CentrifugeSession } from "./centrifuge-session.ts";
import { ends, fails, type Handle, type Outcome } from "./commands/commands.ts";
import { payloadFor } from "./framing.ts";

/** The client that sent a call or a message. */
export interface Caller {
	/** The id of the connection. */
	readonly client: string;
	/** "" = anonymous. */
	readonly user: string;
	/** The claims `info` and `meta` of its token; undefined = none. */
	readonly info: unknown;
	readonly meta: unknown;
}

/** A message or call from a client to the application. */
export interface ClientMessage {
	readonly from: Caller;
	/** As the client sent it: JSON from clients of the JSON protocol, any bytes from clients of the Protobuf protocol. */
	readonly data: Uint8Array;
	/** The data, parsed. @throws SyntaxError when it is not JSON. */
	json(): unknown;
}

export interface RpcCall extends ClientMessage {
	readonly method: string;
}

/**
 * Answers a call: bytes are sent as they are, any other value as JSON, undefined as an empty result. If it throws, the client gets error 100, or
 * the code of an `RpcError`.
 */
export type RpcHandler = (call: RpcCall) => unknown;

export type ClientMessageHandler = (message: ClientMessage) => unknown;

/** An error that a call returns to its client. */
export class RpcError extends Error {
	/** 400 to 1999. */
	readonly code: number;
	/** Whether the client may try again. */
	readonly temporary: boolean;

	/** @throws RangeError when the code is not in the range for applications. */
	constructor(code: number, message: string, { temporary = false }: { readonly temporary?: boolean } = {}) {
		super(message);
		if (!Number.isInteger(code) || code < 400 || code > 1999) throw new RangeError(`code ${code} must be an integer from 400 to 1999`);
		this.code = code;
		this.temporary = temporary;
	}
}

interface ClientHandlersParts {
	readonly counters: Pick<Counters, "add">;
	/** How long a handler may take, in milliseconds. */
	readonly deadlineMs: number;
	/** Whether the client may send another message now. */
	readonly underRate: (session: CentrifugeSession) => boolean;
	/** Asks a backend about a method without a handler. Null = no backend serves calls. */
	readonly byBackend: Handle<"rpc">;
	/** Called with the error of a handler, or when it took too long. */
	readonly onError: (error: unknown) => void;
}

/** The most handlers that run at once in a shard. Beyond it, calls get error 111, and messages close the client with 3013. */
const runningMax = 1024;

const tooManyRequests = fails(ErrorCode.tooManyRequests);

/**
 * The commands `rpc` and `send`, which the application handles. Later commands of a client wait for its handler, so each client runs one at a
 * time. Nothing is copied or parsed unless a handler asks for it.
 */
export class ClientHandlers {
	readonly #parts: ClientHandlersParts;
	readonly #methods = new Map<string, RpcHandler>();
	#onMessage: ClientMessageHandler | null = null;
	#running = 0;

	constructor(parts: ClientHandlersParts) {
		this.#parts = parts;
	}

	/** @throws Error when the method already has a handler. */
	onRpc(method: string, handler: RpcHandler): void {
		if (this.#methods.has(method)) throw new Error(`the method "${method}" already has a handler`);
		this.#methods.set(method, handler);
	}

	/** @throws Error when there already is a handler. */
	onMessage(handler: ClientMessageHandler): void {
		if (this.#onMessage !== null) throw new Error("messages of clients already have a handler");
		this.#onMessage = handler;
	}

	readonly rpc = (session: CentrifugeSession, request: RpcRequest): Outcome | Promise<Outcome> => {
		const { method, data } = request;
		const handler = this.#methods.get(method);
		if (handler === undefined) {
			const answer = this.#parts.byBackend(session, request);
			return answer ?? fails(this.#methods.size === 0 ? ErrorCode.notAvailable : ErrorCode.methodNotFound);
		}
		if (!this.#parts.underRate(session)) return tooManyRequests;
		if (this.#isFull()) return tooManyRequests;
		return this.#run(async () => answerOf(session, await handler({ ...messageOf(session, data), method })));
	};

	readonly send = (session: CentrifugeSession, { data }: SendRequest): Outcome | Promise<Outcome> => {
		const handler = this.#onMessage;
		if (handler === null) return ends(DisconnectCode.notAvailable);
		if (!this.#parts.underRate(session) || this.#isFull()) return ends(DisconnectCode.tooManyRequests);
		return this.#run(async () => {
			await handler(messageOf(session, data));
			return null;
		}).then(() => null);
	};

	#isFull(): boolean {
		if (this.#running < runningMax) return false;
		this.#parts.counters.add("handlersFull", 1);
		return true;
	}

	/** Never rejects. Whatever the handler does after its deadline has no effect. */
	async #run(handle: () => Promise<Outcome>): Promise<Outcome> {
		const { counters, deadlineMs, onError } = this.#parts;
		this.#running++;
		try {
			return await withDeadline(handle(), deadlineMs, "a handler of a client's command");
		} catch (error) {
			if (error instanceof RpcError) return { error: { code: error.code, message: error.message, temporary: error.temporary } };
			counters.add(error instanceof DeadlineError ? "handlerTimeouts" : "handlerErrors", 1);
			onError(error);
			return fails(ErrorCode.internal);
		} finally {
			this.#running--;
		}
	}
}

function messageOf({ id, user, info, meta }: CentrifugeSession, data: Uint8Array): ClientMessage {
	return {
		from: { client: id, user, info: parsed(info), meta: parsed(meta) },
		data,
		json: () => JSON.parse(Buffer.from(data).toString()) as unknown,
	};
}

const parsed = (json: Uint8Array | null): unknown => (json === null ? undefined : JSON.parse(Buffer.from(json).toString()));

function answerOf({ framing }: CentrifugeSession, answer: unknown): Outcome {
	if (answer === undefined) return { rpc: {} };
	if (!(answer instanceof Uint8Array)) return { rpc: { data: Buffer.from(JSON.stringify(answer)) } };
	return { rpc: { data: payloadFor(framing, answer) } };
}

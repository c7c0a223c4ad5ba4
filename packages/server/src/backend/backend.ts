import { type ClientRequest, Agent as HttpAgent, request as httpRequest, type IncomingMessage, type RequestOptions } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { urlToHttpOptions } from "node:url";
import type { BackendTls } from "@shardcast/config";
import { BackendCounts, type CallFailure } from "./backend-counts.ts";
import { CallSlots } from "./call-slots.ts";
import { retryAfterMs } from "./retry-after.ts";
import type { Waiter } from "./waiter.ts";

export interface BackendOptions {
	/** For logs and metrics. */
	readonly name: string;
	/** An http or https URL. Certificates are always verified. */
	readonly endpoint: string;
	/** For the whole call: the wait for a slot, connecting, and receiving the last byte of the reply. */
	readonly timeoutMs: number;
	/** Maximum concurrent calls, at least 1. */
	readonly concurrency: number;
	/** Maximum number of calls that wait for a slot. */
	readonly queueMax: number;
	/** Maximum length of the reply's body. */
	readonly replyBytesMax: number;
	/** For https. */
	readonly tls?: BackendTls;
}

export interface Call {
	readonly body: Uint8Array;
	/** Headers besides the content type; names in lower case. They must be valid, see `forwardedHeaders`. */
	readonly headers: Readonly<Record<string, string>>;
	/**
	 * Whether it does no harm if the backend gets the call twice. Such a call is repeated once if the backend has closed the kept-alive
	 * connection; for other calls, that is a failure.
	 */
	readonly isRepeatable: boolean;
	/** Abandoned when the caller no longer waits for the reply. */
	readonly waiter?: Waiter | undefined;
}

export type CallOutcome =
	| { readonly body: Buffer }
	/**
	 * @property status of the response, complete or not; 0 = none. @property detail a code such as ECONNREFUSED, never text from the backend or the client.
	 * @property retryAfterMs the pause that the response asks for; absent = it asks for none.
	 */
	| { readonly failure: CallFailure; readonly status: number; readonly detail: string; readonly retryAfterMs?: number }
	/** Nobody waits for it any more. */
	| "abandoned";

/** Shorter than the keep-alive timeout of most servers, so that the backend rarely closes a connection that is about to be used. */
const idleMsMax = 4000;

/**
 * One address to which the shard POSTs JSON. No client and no reply can change the address: redirects are failures. Connections are kept alive
 * between calls.
 *
 * Use: `new Backend(options)` once per address, `await backend.call({ body, headers, isRepeatable, waiter })` for each request, which never
 * rejects and resolves with the outcome; `isInvalid()` when the reply's body cannot be used; `retire()` when the options have changed, `stop()`
 * when the shard stops; `counts`, `running` and `waiting` for the metrics.
 *
 * node:http is enough for this. A library such as undici would add a dependency, and pipelining, which must not be used for calls that the
 * backend must not get twice.
 *
 * One owner, the shard's loop. Bounds: concurrent calls, waiting calls, bytes of a reply, duration of a call.
 */
export class Backend {
	readonly options: BackendOptions;
	readonly counts: BackendCounts;
	readonly #send: typeof httpRequest;
	/** The address, taken apart once and not for each request. */
	readonly #target: RequestOptions;
	readonly #agent: HttpAgent;
	readonly #slots: CallSlots;
	readonly #calls = new Set<PendingCall>();
	#isStopped = false;
	#isRetired = false;

	/** @param counts those of the backend that it replaces, to continue them. */
	constructor(options: BackendOptions, counts = new BackendCounts()) {
		this.options = options;
		this.counts = counts;
		const url = new URL(options.endpoint);
		const isSecure = url.protocol === "https:";
		const { concurrency, queueMax, tls } = options;
		const common = { keepAlive: true, maxSockets: concurrency, maxFreeSockets: concurrency, timeout: idleMsMax };
		this.#agent = isSecure ? new HttpsAgent({ ...common, ...tls }) : new HttpAgent(common);
		this.#send = isSecure ? httpsRequest : httpRequest;
		this.#target = { ...urlToHttpOptions(url), method: "POST", agent: this.#agent };
		this.#slots = new CallSlots(concurrency, queueMax);
	}

	get running(): number {
		return this.#slots.running;
	}

	get waiting(): number {
		return this.#slots.waiting;
	}

	/** Never rejects. */
	call(call: Call): Promise<CallOutcome> {
		return new Promise((resolve) => {
			if (call.waiter?.isGone) {
				this.counts.abandoned++;
				resolve("abandoned");
				return;
			}
			if (this.#isStopped) {
				resolve(this.#failed("stopped"));
				return;
			}
			const began = performance.now();
			const pending = new PendingCall(call, this.options, (body, headers) => this.#open(body, headers));
			const begin = () => pending.begin();
			pending.done = (outcome) => {
				this.#calls.delete(pending);
				this.#slots.leave(begin);
				this.#count(outcome, performance.now() - began, pending.isRepeated);
				if (this.#isRetired && this.#calls.size === 0) this.#agent.destroy();
				resolve(outcome);
			};
			this.#calls.add(pending);
			if (this.#slots.take(begin)) return;
			this.#calls.delete(pending);
			pending.forget();
			resolve(this.#failed("queue_full"));
		});
	}

	/** Counts a reply whose body cannot be used as a failure. */
	isInvalid(): void {
		this.counts.replies--;
		this.counts.failed("invalid", 0);
	}

	/** Lets pending calls finish, then closes the connections. For a backend whose options have changed. */
	retire(): void {
		this.#isRetired = true;
		if (this.#calls.size === 0) this.#agent.destroy();
	}

	/** Ends everything immediately: pending calls fail. */
	stop(): void {
		this.#isStopped = true;
		for (const pending of [...this.#calls]) pending.fail("stopped");
		this.#agent.destroy();
	}

	#open(body: Uint8Array, headers: Call["headers"]): ClientRequest {
		const all = { ...headers, "content-type": "application/json", "content-length": body.length };
		return this.#send({ ...this.#target, headers: all });
	}

	#count(outcome: CallOutcome, ms: number, isRepeated: boolean): void {
		const { counts } = this;
		if (isRepeated) counts.repeats++;
		if (outcome === "abandoned") {
			counts.abandoned++;
			return;
		}
		counts.took(ms / 1000);
		if ("failure" in outcome) counts.failed(outcome.failure, outcome.status);
		else counts.replies++;
	}

	#failed(failure: CallFailure): CallOutcome {
		this.counts.failed(failure, 0);
		return { failure, status: 0, detail: "" };
	}
}

/** A call, from the moment it waits for a slot. It ends exactly once, with whatever happens first, and leaves no request, timer or listener. */
class PendingCall {
	done: (outcome: CallOutcome) => void = () => {};
	isRepeated = false;
	readonly #call: Call;
	readonly #replyBytesMax: number;
	readonly #open: (body: Uint8Array, headers: Call["headers"]) => ClientRequest;
	readonly #timer: NodeJS.Timeout;
	#request: ClientRequest | null = null;
	/** Status of the response that has begun. */
	#status = 0;
	/** See `CallOutcome`; 0 = none. */
	#retryAfterMs = 0;
	#isOver = false;

	constructor(
		call: Call,
		{ timeoutMs, replyBytesMax }: BackendOptions,
		open: (body: Uint8Array, headers: Call["headers"]) => ClientRequest,
	) {
		this.#call = call;
		this.#replyBytesMax = replyBytesMax;
		this.#open = open;
		this.#timer = setTimeout(() => this.fail("timeout"), timeoutMs);
		call.waiter?.add(this.#abandon);
	}

	begin(): void {
		let request: ClientRequest;
		try {
			request = this.#open(this.#call.body, this.#call.headers);
		} catch (error) {
			// A header that cannot be sent.
			this.fail("invalid", (error as NodeJS.ErrnoException).code ?? "");
			return;
		}
		this.#request = request;
		request.on("error", (error: NodeJS.ErrnoException) => this.#broken(request, error));
		request.on("response", (response) => this.#read(response));
		request.end(this.#call.body);
	}

	fail(failure: CallFailure, detail = ""): void {
		this.#end({ failure, status: this.#status, detail, ...(this.#retryAfterMs > 0 && { retryAfterMs: this.#retryAfterMs }) });
	}

	/** The call never begins. */
	forget(): void {
		this.#isOver = true;
		clearTimeout(this.#timer);
		this.#call.waiter?.delete(this.#abandon);
	}

	readonly #abandon = (): void => this.#end("abandoned");

	#read(response: IncomingMessage): void {
		const { statusCode: status = 0 } = response;
		this.#status = status;
		this.#retryAfterMs = retryAfterMs(response.headers["retry-after"]);
		const parts: Buffer[] = [];
		let bytes = 0;
		response.on("data", (part: Buffer) => {
			bytes += part.length;
			if (bytes > this.#replyBytesMax) this.fail("too_large");
			else parts.push(part);
		});
		response.on("error", () => this.fail("reset", "ECONNRESET"));
		// The body of a failure is read and discarded, so that the connection can be reused.
		response.on("end", () => {
			if (status === 200) this.#end({ body: parts.length === 1 ? parts[0]! : Buffer.concat(parts) });
			else this.fail(status >= 300 && status < 400 ? "redirect" : "status");
		});
	}

	#broken(request: ClientRequest, error: NodeJS.ErrnoException): void {
		if (this.#isOver || request !== this.#request) return;
		const failure = failureOf(error);
		// The backend had closed the kept-alive connection: no part of this call was answered.
		if (failure === "reset" && request.reusedSocket && this.#call.isRepeatable && !this.isRepeated) {
			this.isRepeated = true;
			this.begin();
			return;
		}
		this.fail(failure, error.code ?? "");
	}

	#end(outcome: CallOutcome): void {
		if (this.#isOver) return;
		this.forget();
		// After the last byte of a reply, the connection belongs to the agent again.
		if (outcome === "abandoned" || ("failure" in outcome && outcome.failure !== "status" && outcome.failure !== "redirect"))
			this.#request?.destroy();
		this.#request = null;
		this.done(outcome);
	}
}

function failureOf({ code = "" }: NodeJS.ErrnoException): CallFailure {
	if (code === "ECONNRESET" || code === "EPIPE") return "reset";
	if (code.startsWith("HPE_")) return "protocol";
	if (/^(ERR_TLS|ERR_SSL|CERT_|EPROTO|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_)/.test(code)) return "tls";
	return "unreachable";
}

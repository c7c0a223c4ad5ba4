import type { ProxyOptions } from "@shardcast/config";
import { ErrorCode, type ReplyError, replyErrors } from "@shardcast/protocol";
import { BoundedLines, type Log, type Tracer } from "@shardcast/telemetry";
import type { Backend, CallOutcome } from "../backend/backend.ts";
import type { CallFailure } from "../backend/backend-counts.ts";
import type { Waiter } from "../backend/waiter.ts";
import { FieldError } from "../json/fields.ts";
import { CallSpan } from "../tracing/call-span.ts";
import { type ClientHeaders, forwardedHeaders, type HeaderRules } from "./forwarded-headers.ts";
import { type HookDisconnect, type HookReply, readHookReply } from "./hook-reply.ts";
import { type HookClient, type HookFields, hookRequest } from "./hook-request.ts";
import type { HookName } from "./hook-results.ts";

/** The error or disconnect for a status other than 200. */
export type StatusMeaning = { readonly error: Required<ReplyError> } | { readonly disconnect: HookDisconnect };

export interface HookOptions {
	readonly headers: HeaderRules;
	/** The backend uses Base64 for payloads, in both directions. */
	readonly isBinary: boolean;
	/** The backend gets the `meta` of the token or the connect hook. */
	readonly includesMeta: boolean;
	readonly statuses: ReadonlyMap<number, StatusMeaning>;
	readonly onFailure: ProxyOptions["onFailure"];
}

/**
 * The outcome of a hook: a reply; no usable reply, so that the client is denied ("failed") or continues without one ("passed"); or the client
 * has gone.
 */
export type HookAnswer<H extends HookName> = HookReply<H> | "failed" | "passed" | "abandoned";

/** Whether it does no harm to ask twice: a publication and an RPC call may change something. */
const isRepeatable: Readonly<Record<HookName, boolean>> = {
	connect: true,
	refresh: true,
	sub_refresh: true,
	subscribe: true,
	publish: false,
	rpc: false,
};

/**
 * Failures without any answer, if no status came either. An unusable or truncated reply, or a redirect to a login page, may have been meant as a
 * refusal.
 */
const silences: ReadonlySet<string> = new Set<CallFailure>(["timeout", "unreachable", "tls", "reset", "queue_full"]);

/** One log line about failures per this time, since each client may cause one. */
const lineEveryMs = 10_000;

type Failure = Extract<CallOutcome, { readonly failure: CallFailure }>;

/** One hook and its backend, for all clients. */
export class Hook<H extends HookName> {
	readonly name: H;
	readonly backend: Backend;
	readonly #options: HookOptions;
	readonly #log: Pick<Log, "error">;
	readonly #tracer: Tracer | null;
	readonly #lines = new BoundedLines(lineEveryMs);

	/** @param tracer null = calls are not traced. */
	constructor(name: H, backend: Backend, options: HookOptions, log: Pick<Log, "error">, tracer: Tracer | null = null) {
		this.#tracer = tracer;
		this.name = name;
		this.backend = backend;
		this.#options = options;
		this.#log = log;
	}

	/**
	 * Never rejects. A client whose headers are too long, or whose data cannot be sent to the backend, gets error 107; the backend is not asked.
	 * Failures are counted and logged here.
	 * @param waiter goes when the client has gone.
	 */
	async ask(client: HookClient, fields: HookFields, headers: ClientHeaders, waiter?: Waiter): Promise<HookAnswer<H>> {
		const { isBinary, includesMeta } = this.#options;
		const forwarded = forwardedHeaders(this.#options.headers, headers);
		const body = hookRequest(this.name, includesMeta ? client : { ...client, meta: null }, fields, isBinary);
		if (forwarded === null || body === null) return { error: replyErrors[ErrorCode.badRequest] };
		const span = this.#tracer === null ? null : CallSpan.begin(this.#tracer, this.name, this.backend.options.name, forwarded);
		const call = { body, headers: { ...forwarded, ...span?.headers }, isRepeatable: isRepeatable[this.name], waiter };
		const outcome = await this.backend.call(call);
		span?.end(outcome);
		return this.#read(outcome);
	}

	#read(outcome: CallOutcome): HookAnswer<H> {
		if (outcome === "abandoned") return outcome;
		if ("failure" in outcome) return this.#options.statuses.get(outcome.status) ?? this.#failed(outcome);
		try {
			return readHookReply(this.name, outcome.body);
		} catch (error) {
			if (!(error instanceof FieldError)) throw error;
			this.backend.isInvalid();
			return this.#failed({ failure: "invalid", status: 0, detail: error.message });
		}
	}

	/** The log line quotes neither the client nor the backend. */
	#failed({ failure, status, detail }: Failure): "failed" | "passed" {
		const { name, backend } = this;
		const passes = this.#passes(failure, status);
		if (passes) backend.counts.passes++;
		this.#lines.offer((leftOut) =>
			this.#log.error(
				{
					hook: name,
					proxy: backend.options.name,
					failure,
					...(status > 0 && { status }),
					...(detail !== "" && { detail }),
					passes,
					leftOut,
				},
				`the ${name} hook failed: ${detail === "" ? failure : `${failure} (${detail})`}${passes ? "; the client continues, see on_failure" : ""}`,
			),
		);
		return passes ? "passed" : "failed";
	}

	#passes(failure: CallFailure, status: number): boolean {
		const { onFailure } = this.#options;
		if (this.name === "rpc") return false;
		// Existing connections and subscriptions survive any failure, unless the options say otherwise.
		if (this.name === "refresh" || this.name === "sub_refresh") return onFailure !== "deny" || failure === "stopped";
		return onFailure === "allow" && (status >= 500 || (status === 0 && silences.has(failure)));
	}
}

import type { ProxyOptions } from "@shardcast/config";
import { ErrorCode, type ReplyError, replyErrors } from "@shardcast/protocol";
import { BoundedLines, type Log } from "@shardcast/telemetry";
import type { Backend, CallOutcome } from "../backend/backend.ts";
import type { CallFailure } from "../backend/backend-counts.ts";
import type { Waiter } from "../backend/waiter.ts";
import { FieldError } from "../json/fields.ts";
import { type ClientHeaders, forwardedHeaders, type HeaderRules } from "./forwarded-headers.ts";
import { type HookDisconnect, type HookReply, readHookReply } from "./hook-reply.ts";
import { type HookClient, type HookFields, hookRequest } from "./hook-request.ts";
import type { HookName } from "./hook-results.ts";

/** What a status other than 200 stands for. */
export type StatusMeaning = { readonly error: Required<ReplyError> } | { readonly disconnect: HookDisconnect };

export interface HookOptions {
	readonly headers: HeaderRules;
	/** The backend takes and gives payloads in Base64. */
	readonly isBinary: boolean;
	/** The backend gets what a token or the connect hook gave as `meta`. */
	readonly includesMeta: boolean;
	readonly statuses: ReadonlyMap<number, StatusMeaning>;
	readonly onFailure: ProxyOptions["onFailure"];
}

/**
 * What became of a question: the reply; none that can be used, and the client is denied what it is about ("failed"), or goes on without an answer
 * ("passed"); or the client has gone.
 */
export type HookAnswer<H extends HookName> = HookReply<H> | "failed" | "passed" | "abandoned";

/** Whether it does no harm to ask twice: a publication and a call may change something. */
const isRepeatable: Readonly<Record<HookName, boolean>> = {
	connect: true,
	refresh: true,
	sub_refresh: true,
	subscribe: true,
	publish: false,
	rpc: false,
};

/**
 * Failures without any answer, if no status came either. An answer that cannot be used or that is cut off, or a redirect to a page for signing in, may
 * have been meant as a no.
 */
const silences: ReadonlySet<string> = new Set<CallFailure>(["timeout", "unreachable", "tls", "reset", "queue_full"]);

/** One line about failures in this time: each client may cause one. */
const lineEveryMs = 10_000;

type Failure = Extract<CallOutcome, { readonly failure: CallFailure }>;

/** One question to one backend, for all clients. */
export class Hook<H extends HookName> {
	readonly name: H;
	readonly backend: Backend;
	readonly #options: HookOptions;
	readonly #log: Pick<Log, "error">;
	readonly #lines = new BoundedLines(lineEveryMs);

	constructor(name: H, backend: Backend, options: HookOptions, log: Pick<Log, "error">) {
		this.name = name;
		this.backend = backend;
		this.#options = options;
		this.#log = log;
	}

	/**
	 * Never rejects. A client whose headers are too long, or whose data the backend cannot be given, gets error 107; the backend is not asked.
	 * Failures are counted and logged here.
	 * @param waiter goes when the client has gone.
	 */
	async ask(client: HookClient, fields: HookFields, headers: ClientHeaders, waiter?: Waiter): Promise<HookAnswer<H>> {
		const { isBinary, includesMeta } = this.#options;
		const forwarded = forwardedHeaders(this.#options.headers, headers);
		const body = hookRequest(this.name, includesMeta ? client : { ...client, meta: null }, fields, isBinary);
		if (forwarded === null || body === null) return { error: replyErrors[ErrorCode.badRequest] };
		const call = { body, headers: forwarded, isRepeatable: isRepeatable[this.name], waiter };
		return this.#read(await this.backend.call(call));
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

	/** The line quotes neither the client nor the backend. */
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
		// What exists already outlives a failure, whatever that was, unless the options say otherwise.
		if (this.name === "refresh" || this.name === "sub_refresh") return onFailure !== "deny" || failure === "stopped";
		return onFailure === "allow" && (status >= 500 || (status === 0 && silences.has(failure)));
	}
}

import type { WebhookOptions } from "@shardcast/config";

/** What a webhook needs from the program that sends its requests. */
export interface Caller {
	/** Sends one POST with this JSON. Never rejects, and keeps a deadline. */
	call(request: {
		readonly body: Uint8Array;
		readonly headers: Readonly<Record<string, string>>;
		readonly isRepeatable: boolean;
	}): Promise<CallOutcome>;
	/** Lets pending calls finish, then closes the connections. */
	retire(): void;
	/** Ends everything immediately. */
	stop(): void;
}

export type CallOutcome =
	| { readonly body: Uint8Array }
	/** @property status of the reply; 0 = no reply, or 200. @property detail a code such as ECONNREFUSED. */
	| { readonly failure: string; readonly status: number; readonly detail: string }
	| "abandoned";

export type OpenCaller = (options: WebhookOptions) => Caller;

/** Null = success: any status from 200 to 299, whatever the body. */
export function failureOf(outcome: CallOutcome): { readonly kind: string; readonly detail: string } | null {
	if (outcome === "abandoned") return { kind: "stopped", detail: "" };
	if (!("failure" in outcome)) return null;
	const { failure, status, detail } = outcome;
	if (status >= 200 && status < 300) return null;
	// A reply that is too long has a status nevertheless, and its body is not needed.
	if (failure === "too_large" && status === 0) return null;
	return { kind: failure, detail: status > 0 ? `status ${status}` : detail };
}

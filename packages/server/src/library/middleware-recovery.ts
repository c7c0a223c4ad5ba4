import { BoundedLines } from "@shardcast/telemetry";
import type { MessageContext, Middleware } from "../delivery/incoming/middleware.ts";
import { checkKeys, checkMs } from "./arguments.ts";
import { callNext } from "./middleware-call-next.ts";

export interface RecoveryOptions {
	/** Prints a line; default: stderr. */
	readonly print?: (line: string) => void;
	/** Milliseconds between two lines; failures in between are counted. Default 1000, at most 2147483647; 0 = a line for each failure. */
	readonly everyMs?: number;
	/** Called with each exception. */
	readonly onError?: (error: unknown, context: MessageContext) => void;
}

/**
 * Reports exceptions of the inner handlers. The server already limits each to its own message, counts it (`shardcast_drops_total`, reason
 * `handler_error`) and answers an HTTP publisher with 500; so the exception is rethrown.
 */
export function recovery(options: RecoveryOptions = {}): Middleware {
	checkKeys("recovery", "its options", options, ["print", "everyMs", "onError"]);
	const print = options.print ?? ((line) => console.error(line));
	const { everyMs = 1000 } = options;
	checkMs("recovery: everyMs", everyMs, 0);
	const lines = new BoundedLines(everyMs);
	return (context, next) => {
		const failed = (error: unknown): void => {
			options.onError?.(error, context);
			lines.offer((leftOut) => {
				const before = leftOut === 0 ? "" : `, ${leftOut} more before it`;
				print(`a handler failed, its message is lost: ${error instanceof Error ? error.message : String(error)}${before}`);
			});
		};
		return callNext(next, () => {}, failed);
	};
}

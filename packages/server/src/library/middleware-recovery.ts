import { BoundedLines } from "@shardcast/telemetry";
import type { MessageContext, Middleware } from "../delivery/incoming/middleware.ts";
import { checkKeys, checkMs } from "./arguments.ts";
import { callNext } from "./middleware-call-next.ts";

export interface RecoveryOptions {
	/** Where a line goes; stderr if not given. */
	readonly print?: (line: string) => void;
	/** Time between two lines; the failures in between are counted. 1000 if not given, at most 2147483647; 0 = each has its line. */
	readonly everyMs?: number;
	/** Told about each exception. */
	readonly onError?: (error: unknown, context: MessageContext) => void;
}

/**
 * Tells of exceptions in the handlers inside. The server itself already confines each to its one message, counts it
 * (`shardcast_drops_total`, reason `handler_error`) and answers an HTTP publisher 500; that is why the exception goes on from here.
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

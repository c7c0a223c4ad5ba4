import { BoundedLines } from "@shardcast/telemetry";
import type { Middleware } from "../delivery/incoming/middleware.ts";
import { checkKeys, checkMs } from "./arguments.ts";
import { callNext } from "./middleware-call-next.ts";

export interface LoggingOptions {
	/** Prints a line; default: stderr. */
	readonly print?: (line: string) => void;
	/** Milliseconds between two lines; messages in between are counted. Default 100, at most 2147483647; 0 = a line for each message. */
	readonly everyMs?: number;
}

/** Logs incoming messages: origin, channels, length, and how long the inner handlers and publishing took. */
export function logging(options: LoggingOptions = {}): Middleware {
	checkKeys("logging", "its options", options, ["print", "everyMs"]);
	const print = options.print ?? ((line) => console.error(line));
	const { everyMs = 100 } = options;
	checkMs("logging: everyMs", everyMs, 0);
	const lines = new BoundedLines(everyMs);
	return (context, next) => {
		const beganMs = performance.now();
		const { source, address, channels, payload } = context;
		const tell = (outcome: "handled" | "failed"): void => {
			const tookUs = Math.round((performance.now() - beganMs) * 1000);
			lines.offer((leftOut) => {
				const from = source === "host" ? "host" : `${source} ${address}`;
				const to = channels.length === 0 ? "everybody" : channels.join(",");
				const before = leftOut === 0 ? "" : `, ${leftOut} more before it`;
				print(`${from} -> ${to}: ${payload.length} bytes, ${outcome} in ${tookUs} µs${before}`);
			});
		};
		return callNext(
			next,
			() => tell("handled"),
			() => tell("failed"),
		);
	};
}

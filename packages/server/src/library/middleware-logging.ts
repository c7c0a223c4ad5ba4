import { BoundedLines } from "@shardcast/telemetry";
import type { Middleware } from "../delivery/incoming/middleware.ts";
import { checkKeys, checkMs } from "./arguments.ts";
import { callNext } from "./middleware-call-next.ts";

export interface LoggingOptions {
	/** Where a line goes; stderr if not given. */
	readonly print?: (line: string) => void;
	/** Time between two lines; the messages in between are counted. 100 if not given, at most 2147483647; 0 = each has its line. */
	readonly everyMs?: number;
}

/** Tells what comes in: from where, for which channels, how long, and how long the handlers inside and the publishing took. */
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

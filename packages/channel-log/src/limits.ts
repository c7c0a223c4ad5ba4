import type { HistoryLimits } from "./broker.ts";

/** Times to live are stored as unsigned 32-bit milliseconds. */
const ttlMsMax = 2 ** 32 - 1;

/** Checks limits. @throws RangeError for values that no broker accepts, with the value and the reason. */
export function checkLimits({ size, ttlMs, metaTtlMs }: HistoryLimits): void {
	if (!Number.isInteger(size) || size < 1 || size >= 2 ** 31) throw new RangeError(`a history of ${size} publications: give 1 or more`);
	if (metaTtlMs < ttlMs) throw new RangeError(`offset and epoch kept for ${metaTtlMs} ms: give at least the history's ${ttlMs} ms`);
	checkTtl("the history's time to live", ttlMs);
	checkTtl("the time to live of offset and epoch", metaTtlMs);
}

/** @throws RangeError like `checkLimits`. */
export function checkKeyTtl(ttlMs: number): void {
	checkTtl("the idempotency key's time to live", ttlMs);
}

function checkTtl(what: string, ttlMs: number): void {
	if (!(ttlMs >= 1 && ttlMs <= ttlMsMax)) throw new RangeError(`${what} is ${ttlMs} ms: give 1 to ${ttlMsMax}`);
}

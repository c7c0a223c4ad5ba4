import { RedisError } from "./redis-error.ts";

/**
 * Settles like `work`, or rejects after `ms`, with `what` in the message. Needed since the library's promises may never settle, for example if a
 * connection is closed at the wrong moment.
 */
export function within<T>(work: Promise<T>, ms: number, what: string): Promise<T> {
	return new Promise((resolve, reject) => {
		const timer = setTimeout(() => reject(new RedisError("interrupted", `${what} within ${ms} ms`)), ms);
		work.then(resolve, reject).finally(() => clearTimeout(timer));
	});
}

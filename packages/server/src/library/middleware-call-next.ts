import type { Next } from "../delivery/incoming/middleware.ts";

/** Calls `next` and reports how the inner handlers ended, also when they are asynchronous. Rethrows their errors. */
export function callNext(next: Next, handled: () => void, failed: (error: unknown) => void): Promise<void> | undefined {
	const fail = (error: unknown): never => {
		failed(error);
		throw error;
	};
	let waits: Promise<void> | undefined;
	try {
		waits = next();
	} catch (error) {
		return fail(error);
	}
	if (waits !== undefined) return waits.then(handled, fail);
	handled();
	return undefined;
}

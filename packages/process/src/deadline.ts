import { setTimeout as sleep } from "node:timers/promises";

/** A wait exceeded its deadline. */
export class DeadlineError extends Error {
	constructor(what: string, deadlineMs: number) {
		super(`${what} took longer than ${Math.round(deadlineMs)} ms`);
		this.name = "DeadlineError";
	}
}

/** Settles like `work`, or rejects with DeadlineError after `deadlineMs`. The work itself is not cancelled. */
export async function withDeadline<T>(work: Promise<T>, deadlineMs: number, what: string): Promise<T> {
	let timer: NodeJS.Timeout | undefined;
	const late = new Promise<never>((_, reject) => {
		timer = setTimeout(() => reject(new DeadlineError(what, deadlineMs)), deadlineMs);
	});
	try {
		return await Promise.race([work, late]);
	} finally {
		clearTimeout(timer);
	}
}

const lookMs = 5;

/** Resolves with true when `condition` holds, with false after `deadlineMs`. For steps of a stop, where 5 ms do not matter. */
export async function until(condition: () => boolean, deadlineMs: number): Promise<boolean> {
	const deadline = new Deadline(deadlineMs);
	while (!condition()) {
		const leftMs = deadline.leftMs();
		if (leftMs <= 0) return false;
		await sleep(Math.min(lookMs, leftMs));
	}
	return true;
}

/** A time budget shared by several steps. */
export class Deadline {
	readonly #endsMs: number;

	constructor(durationMs: number) {
		this.#endsMs = performance.now() + durationMs;
	}

	/** Time left, at least 0. */
	leftMs(): number {
		return Math.max(0, this.#endsMs - performance.now());
	}
}

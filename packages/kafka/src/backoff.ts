const firstMs = 100;

/** Pause before try number `attempt` (from 0): doubles up to `maxMs`, then a random half off, so that shards do not try in step. */
export function backoffMs(attempt: number, maxMs: number): number {
	const full = Math.min(firstMs * 2 ** Math.min(attempt, 20), maxMs);
	return full * (0.5 + Math.random() / 2);
}

/** A pause that can be cut short: `cut()` ends the present one, or the next when there is none at the moment. */
export class Pause {
	#wake: (() => void) | null = null;
	#cut = false;

	async sleep(timeoutMs: number): Promise<void> {
		if (!this.#cut)
			await new Promise<void>((resolve) => {
				const timer = setTimeout(resolve, timeoutMs);
				this.#wake = () => {
					clearTimeout(timer);
					resolve();
				};
			});
		this.#wake = null;
		this.#cut = false;
	}

	cut(): void {
		this.#cut = true;
		this.#wake?.();
	}
}

const firstMs = 100;

/** Pause before attempt `attempt` (from 0): doubles up to `maxMs`, minus up to half at random, so that processes do not retry in step. */
export function backoffMs(attempt: number, maxMs: number): number {
	const full = Math.min(firstMs * 2 ** Math.min(attempt, 20), maxMs);
	return full * (0.5 + Math.random() / 2);
}

/** A pause that can be cut short: `cut()` ends the current sleep, or the next one if none is in progress. One sleeper. */
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

/** A pause that can be ended early, even before it begins. One waiter. */
export class Alarm {
	#isSet = false;
	#wake: (() => void) | null = null;

	/** Ends the current pause, or otherwise the next one as soon as it begins. */
	ring(): void {
		this.#isSet = true;
		this.#wake?.();
	}

	async pause(ms: number): Promise<void> {
		if (!this.#isSet)
			await new Promise<void>((resolve) => {
				const timer = setTimeout(resolve, ms);
				this.#wake = () => {
					clearTimeout(timer);
					resolve();
				};
			});
		this.#wake = null;
		this.#isSet = false;
	}
}

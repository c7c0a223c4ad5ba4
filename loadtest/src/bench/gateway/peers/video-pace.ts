import type { BenchBackend } from "./bench-backends.ts";

/** What is more than this late is not sent any more. */
const lateMsMax = 50;
/** So many of the backends send in each tick, so that no tick is a burst of all. */
const backendsPerTick = 4;

/** Sends VIDEO at a fixed rate over some backends, tick by tick. */
export class VideoPace {
	readonly #backends: readonly BenchBackend[];
	#perMs = 0;
	#fromMs = 0;
	/** Since `#fromMs`: sent or given up. */
	#done = 0;
	#turn = 0;

	constructor(backends: readonly BenchBackend[]) {
		this.#backends = backends;
	}

	set perSecond(value: number) {
		this.#perMs = value / 1000;
		this.#fromMs = performance.now();
		this.#done = 0;
	}

	tick(): void {
		const planned = Math.floor((performance.now() - this.#fromMs) * this.#perMs);
		let due = Math.ceil(Math.min(planned - this.#done, lateMsMax * this.#perMs));
		this.#done = planned;
		const count = Math.min(backendsPerTick, this.#backends.length);
		for (let left = count; left > 0 && due > 0; left--) {
			const frames = Math.ceil(due / left);
			this.#turn = (this.#turn + 1) % this.#backends.length;
			this.#backends[this.#turn]!.sendVideo(frames);
			due -= frames;
		}
	}
}

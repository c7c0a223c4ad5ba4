import { createHook } from "node:async_hooks";

interface Timer {
	readonly _destroyed?: boolean;
}

const kinds = new Set(["Timeout", "Immediate"]);

/** Finds the timers that our own sources have started and not ended, by whichever module they came. One at a time. */
export class LiveTimers {
	readonly #timers: { readonly timer: Timer; readonly stack: string }[] = [];
	readonly #hook = createHook({
		init: (_id, type, _trigger, resource) => {
			if (!kinds.has(type)) return;
			const stack = new Error("a timer").stack ?? "";
			// Not those of vitest, nor of the tests themselves.
			const caller = stack.split("\n").find((line) => /packages\/\w/.test(line) && !line.includes("live-timers"));
			if (caller?.includes("/src/")) this.#timers.push({ timer: resource as Timer, stack: caller.trim() });
		},
	});

	watch(): this {
		this.#hook.enable();
		return this;
	}

	ignore(): void {
		this.#hook.disable();
	}

	/** Where each of them was started. */
	get live(): string[] {
		return this.#timers.filter(({ timer }) => timer._destroyed === false).map(({ stack }) => stack);
	}
}

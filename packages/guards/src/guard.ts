/** When a guard begins and stops to act. Times are those that the value must be beyond the limit without interruption. */
export interface GuardRule {
	/** It begins to act at values from here on. */
	readonly enter: number;
	/** It stops at values below; at most `enter`. */
	readonly leave: number;
	readonly enterAfterMs: number;
	readonly leaveAfterMs: number;
}

/** Looks further apart than this say nothing about the time between them. */
const gapMsMax = 3000;

/**
 * Decides from one value whether a guard acts. Values between `leave` and `enter` change nothing, and neither does a short peak or dip: so a value that
 * swings around a threshold does not make it act and stop in turn. Pure: time is an argument, monotonic.
 */
export class Guard {
	#sinceMs: number | null = null;
	#times: number;
	/** Since when all values are beyond the limit at which the guard changes; null = the last one is not. */
	#beyondMs: number | null = null;
	#lookedMs = Number.NEGATIVE_INFINITY;

	/** @param times how often an earlier guard of the same thing has begun to act. */
	constructor(times = 0) {
		this.#times = times;
	}

	/** Since when it acts; null = it does not. */
	get sinceMs(): number | null {
		return this.#sinceMs;
	}

	/** How often it has begun to act. */
	get times(): number {
		return this.#times;
	}

	/**
	 * @param value null = unknown, which is no reason to act. @param rule null = the guard is off.
	 * @returns whether it has begun or stopped to act.
	 */
	observe(value: number | null, rule: GuardRule | null, nowMs: number): boolean {
		if (nowMs - this.#lookedMs > gapMsMax) this.#beyondMs = null;
		this.#lookedMs = nowMs;
		if (rule === null) return this.#stop();
		const acts = this.#sinceMs !== null;
		const isBeyond = acts ? value === null || value < rule.leave : value !== null && value >= rule.enter;
		this.#beyondMs = isBeyond ? (this.#beyondMs ?? nowMs) : null;
		if (this.#beyondMs === null || nowMs - this.#beyondMs < (acts ? rule.leaveAfterMs : rule.enterAfterMs)) return false;
		if (acts) return this.#stop();
		this.#beyondMs = null;
		this.#sinceMs = nowMs;
		this.#times++;
		return true;
	}

	#stop(): boolean {
		const did = this.#sinceMs !== null;
		this.#sinceMs = null;
		this.#beyondMs = null;
		return did;
	}
}

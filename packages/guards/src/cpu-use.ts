interface Reading {
	readonly atMs: number;
	readonly busyMs: number;
}

/** A window counts as full when this much is missing: looks come about once a second. */
const slackMs = 1500;

/**
 * Average number of CPUs that some processes have used during the last seconds. Bound: one reading per look in the window.
 *
 * The average begins when the window is full, so that the CPU time of a start is not taken for load.
 */
export class CpuUse {
	readonly #readings: Reading[] = [];
	/** Of each process, what it told last. */
	readonly #told = new Map<string, number>();
	#busyMs = 0;

	/**
	 * @param processes their CPU times since their start, by name. A time that has become less is that of another process with this name.
	 * @returns null until the window is full.
	 */
	observe(processes: ReadonlyMap<string, number>, windowMs: number, nowMs: number): number | null {
		for (const [name, cpuMs] of processes) {
			const before = this.#told.get(name);
			// What a process used before it was seen for the first time is not of this window.
			if (before !== undefined) this.#busyMs += cpuMs >= before ? cpuMs - before : cpuMs;
			this.#told.set(name, cpuMs);
		}
		for (const name of this.#told.keys()) if (!processes.has(name)) this.#told.delete(name);
		const readings = this.#readings;
		readings.push({ atMs: nowMs, busyMs: this.#busyMs });
		// The first reading is the last one from before the window.
		while (readings.length > 2 && readings[1]!.atMs <= nowMs - windowMs) readings.shift();
		const passedMs = nowMs - readings[0]!.atMs;
		return passedMs < Math.max(1, windowMs - slackMs) ? null : (this.#busyMs - readings[0]!.busyMs) / passedMs;
	}
}

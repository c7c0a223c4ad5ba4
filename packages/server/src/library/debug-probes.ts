/** Returns a value that describes the application's state. */
export type DebugProbe = () => unknown;

const probesMax = 256;

/** Named probes, reported together by `stats()`. Bound: 256 probes. */
export class DebugProbes {
	readonly #probes = new Map<string, DebugProbe>();

	/** @throws Error when the name is taken, or there are too many. */
	register(name: string, probe: DebugProbe): void {
		if (this.#probes.has(name)) throw new Error(`there already is a debug probe "${name}"`);
		if (this.#probes.size >= probesMax) throw new Error(`there are already ${probesMax} debug probes, the maximum`);
		this.#probes.set(name, probe);
	}

	/** A probe that throws reports its error instead of a value; the others are not affected. */
	stats(): Record<string, unknown> {
		const answers: Record<string, unknown> = {};
		for (const [name, probe] of this.#probes) {
			try {
				answers[name] = probe();
			} catch (error) {
				answers[name] = { error: error instanceof Error ? error.message : String(error) };
			}
		}
		return answers;
	}
}

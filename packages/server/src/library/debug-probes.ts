/** Answers a question about the program's state, at once. */
export type DebugProbe = () => unknown;

const probesMax = 256;

/** Named questions, answered together by `stats()`. Bound: 256 probes, the next one is an error. */
export class DebugProbes {
	readonly #probes = new Map<string, DebugProbe>();

	/** @throws when the name is taken, or there are too many. */
	register(name: string, probe: DebugProbe): void {
		if (this.#probes.has(name)) throw new Error(`there is a debug probe "${name}" already`);
		if (this.#probes.size >= probesMax) throw new Error(`there are ${probesMax} debug probes, which is the most`);
		this.#probes.set(name, probe);
	}

	/** A probe that throws gives its error instead of a value, and keeps none of the others from answering. */
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

import type { Draw, FaultKind } from "./fault.ts";
import { Random } from "./random.ts";

export interface Step {
	readonly number: number;
	readonly kind: FaultKind;
	readonly draw: Draw;
}

/**
 * Faults without end, in rounds with one of each kind in a random order. They depend on the seed and the kinds only: not on time, on the machine, or
 * on what happened before. A kind that this machine lacks something for keeps its place.
 */
export function* schedule(seed: number, kinds: readonly FaultKind[], isShort: boolean): Generator<Step, never> {
	const order = new Random(seed);
	for (let number = 1; ; )
		for (const kind of order.shuffled(kinds)) {
			yield { number, kind, draw: kind.draw(new Random(seed, number), isShort) };
			number++;
		}
}

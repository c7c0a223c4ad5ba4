import type { Random } from "./random.ts";
import type { Rig } from "./rig.ts";

/** What exactly a fault does, drawn from the seed. */
export interface Draw {
	/** Shard, or index of another choice. */
	readonly target: number;
	/** How long it lasts. */
	readonly forMs: number;
	/** Seed of what is random within the fault. */
	readonly seed: number;
	/** For people, such as "shard 1 for 5 s". */
	readonly story: string;
}

/** One kind of fault: a file of `kinds/` has each. */
export interface FaultKind {
	readonly name: string;
	readonly help: string;
	/** Part of the short run: over in a few seconds, and full service soon after. */
	readonly isShort: boolean;
	/** The history of all channels may be lost by it: clients are told that they could not recover. */
	readonly forgets?: boolean;
	/** Depends on the generator only, never on the machine. */
	draw(random: Random, isShort: boolean): Draw;
	/** Why it cannot be done here; null = it can. */
	lacks(rig: Rig): string | null;
	/** Does it, and undoes what does not end by itself, also when `rig.wait` rejects. What it finds wrong it gives to `rig.tally`. */
	inject(rig: Rig, draw: Draw): Promise<void>;
}

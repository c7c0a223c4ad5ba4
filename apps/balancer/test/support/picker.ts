import { defaultConfig } from "@shardcast/config";
import { Role, Scoreboard, ShardState } from "@shardcast/scoreboard";
import { type Candidate, measureHandoff } from "../../src/pick/candidate.ts";
import { Picker, type PickerOptions, type PickRules } from "../../src/pick/picker.ts";
import { ShardLoads } from "../../src/pick/shard-loads.ts";

export const clock = { nowMs: 1_000_000 };

/** Shards that serve, with these limits. */
export function boardOf(connectionsMax: readonly number[]): Scoreboard {
	const board = Scoreboard.inMemory(connectionsMax.length);
	connectionsMax.forEach((max, slot) => {
		const row = board.row(slot);
		row.role = Role.shard;
		row.core = -1;
		row.incarnation = 1;
		row.connectionsGiven = max;
		row.state = ShardState.serving;
		row.set("heartbeatMs", clock.nowMs);
	});
	board.bumpMembership();
	return board;
}

export const rules = (changes: Partial<PickRules> = {}): PickRules => ({ ...defaultConfig(), ...changes });

/** A machine of 1,000,000 bytes of memory, without a quota. */
export const machine = { quota: null, memoryBytes: 1_000_000 } as const;

export function pickerOf(board: Scoreboard, options: Partial<PickerOptions> = {}): Picker {
	const picker = new Picker(board, {
		measure: measureHandoff,
		ownMax: Number.POSITIVE_INFINITY,
		nowMs: () => clock.nowMs,
		rules: rules(),
		count: () => {},
		loads: new ShardLoads(() => machine),
		...options,
	});
	picker.look();
	return picker;
}

export const slotOf = (candidate: Candidate | null) => candidate?.row.slot ?? null;

/** How often each shard was picked. */
export function spread(slots: Iterable<number | null>, shards: number): number[] {
	const counts = Array.from({ length: shards }, () => 0);
	for (const slot of slots) if (slot !== null) counts[slot]++;
	return counts;
}

/** A sequence of numbers from 0 to below 1 that is the same in each run. */
export function sequence(seed = 1): () => number {
	let state = seed;
	return () => {
		state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
		return (state >>> 0) / 2 ** 32;
	};
}

import { toldEachSecond } from "@shardcast/wire";
import type { RebalanceResult } from "./operation.ts";

interface RebalanceParts {
	/** Clients of each shard that takes clients, by slot. */
	readonly clients: () => ReadonlyMap<number, number>;
	/** Clients per second that may connect again; read for each second. */
	readonly rate: () => number;
	/** Asks so many clients of each shard to connect again, spread over a second. Resolves with how many were asked. */
	readonly move: (bySlot: Readonly<Record<string, number>>) => Promise<number>;
	/** Aborted with a reason (a string) to end it. */
	readonly signal: AbortSignal;
	readonly onProgress: (moved: number, left: number) => void;
	readonly pause: (ms: number) => Promise<void>;
}

/** A shard may exceed its share by this part of it. */
const tolerance = 0.05;
const everyMs = 1000;
/** All clients are in the middle of something for so many seconds in a row: the rest stays. */
const idleMax = 10;
/** Those that were asked last need so many seconds to be back. */
const settleMax = 5;

/** How many clients each shard has too many, by slot: only shards that exceed their share by more than the tolerance have any. */
export function excessOf(clients: ReadonlyMap<number, number>): Map<number, number> {
	const total = [...clients.values()].reduce((sum, count) => sum + count, 0);
	const share = Math.ceil(total / Math.max(1, clients.size));
	const most = Math.max(share, Math.floor((total / Math.max(1, clients.size)) * (1 + tolerance)));
	return new Map([...clients].flatMap(([slot, count]) => (count > most ? [[slot, count - share] as const] : [])));
}

/** So many of them, from each shard in proportion. */
function partOf(excess: ReadonlyMap<number, number>, count: number): Map<number, number> {
	let [rest, left] = [sum(excess), count];
	return new Map(
		[...excess].map(([slot, clients]) => {
			const share = Math.round((left * clients) / rest);
			rest -= clients;
			left -= share;
			return [slot, share];
		}),
	);
}

const sum = (counts: ReadonlyMap<number, number>) => [...counts.values()].reduce((all, count) => all + count, 0);

/**
 * Moves clients away from the fullest shards, `toldEachSecond` of the rate, until each shard has its share. It asks no more clients than were too many at the
 * start: those that come back to the same shard, as with a strategy that prefers it, are not asked forever.
 */
export async function rebalanceShards({ clients, rate, move, signal, onProgress, pause }: RebalanceParts): Promise<RebalanceResult> {
	const beganMs = performance.now();
	const before = Object.fromEntries(clients());
	let budget = sum(excessOf(clients()));
	let moved = 0;
	let [idle, settling] = [0, 0];
	let ended: string | undefined;
	for (;;) {
		const excess = excessOf(clients());
		const left = sum(excess);
		onProgress(moved, left);
		if (signal.aborted) ended = String(signal.reason);
		else if (left === 0) break;
		// Clients come and go meanwhile: with few of them, one is more than the tolerance.
		else if (budget <= 0 && [...excess.values()].every((count) => count === 1)) break;
		else if (idle >= idleMax) ended = "the other clients are in the middle of something";
		else if (budget <= 0 && settling++ >= settleMax) ended = "clients come back to the same shards";
		if (ended !== undefined) break;
		const count = Math.min(toldEachSecond(rate()), left, budget);
		if (count > 0) {
			const asked = await move(Object.fromEntries(partOf(excess, count))).catch(() => null);
			// A shard that did not answer may have asked its clients.
			budget -= asked ?? count;
			moved += asked ?? 0;
			idle = asked === 0 ? idle + 1 : 0;
		}
		await pause(everyMs);
	}
	const tookMs = Math.round(performance.now() - beganMs);
	return { before, after: Object.fromEntries(clients()), moved, tookMs, ...(ended !== undefined && { ended }) };
}

import { formatDuration } from "@shardcast/config";
import type { OperatedShard } from "./operated-shard.ts";
import type { DrainResult } from "./operation.ts";

interface DrainParts {
	readonly shard: OperatedShard;
	/** Clients per second that may reconnect; null = `--drain-rate`. */
	readonly rate: number | null;
	/** What is left after this time stays for now, but is still told. */
	readonly timeoutMs: number;
	/** Aborted with a reason (a string) to end it early. */
	readonly signal: AbortSignal;
	readonly onProgress: (moved: number, left: number) => void;
	readonly pause: (ms: number) => Promise<void>;
}

const lookEveryMs = 50;
const tellEveryMs = 1000;

/**
 * Drains a shard: it gets no new clients, and tells those that it has to reconnect. Resolves when none is left, or with `ended` when the time is over or it
 * was ended. The shard stays drained. If its process dies meanwhile, its successor is drained, too.
 */
export async function drainShard({ shard, rate, timeoutMs, signal, onProgress, pause }: DrainParts): Promise<DrainResult> {
	const beganMs = performance.now();
	const { told, lost } = shard;
	const moved = () => shard.told - told;
	// First, for a successor, and for the balancer's next look.
	shard.isDrained = true;
	let ended: string | undefined;
	let isOrdered = false;
	let toldMs = Number.NEGATIVE_INFINITY;
	for (;;) {
		if (!isOrdered && shard.serving && !signal.aborted) isOrdered = await ordered(shard, rate);
		if (!shard.serving) isOrdered = false;
		const nowMs = performance.now();
		const left = shard.clients;
		if (nowMs - toldMs >= tellEveryMs || left === 0) {
			toldMs = nowMs;
			onProgress(moved(), left);
		}
		if (signal.aborted) ended = String(signal.reason);
		else if (left > 0 && nowMs - beganMs >= timeoutMs) ended = `its time is over (${formatDuration(timeoutMs)})`;
		// Without an order it may still get clients.
		if (ended !== undefined || (left === 0 && (isOrdered || !shard.serving))) break;
		await pause(lookEveryMs);
	}
	return {
		shard: shard.slot,
		moved: moved(),
		left: shard.clients,
		lost: shard.lost - lost,
		tookMs: Math.round(performance.now() - beganMs),
		...(ended !== undefined && { ended }),
	};
}

/** False when it may not have the order: its process has died, or hangs and will be killed. It is asked again then. */
async function ordered(shard: OperatedShard, rate: number | null): Promise<boolean> {
	try {
		await shard.offload({ on: true, rate });
		return true;
	} catch {
		return false;
	}
}

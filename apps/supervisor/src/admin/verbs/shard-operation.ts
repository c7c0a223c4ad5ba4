import { OperationAborted, type OperationProgress, OperationRefused } from "../../operations/operation.ts";
import { type AdminShards, EndedEarly, Refused, type ShardOperations, type VerbContext } from "../verb.ts";

/** The most that an operation may do per second, and the longest that a drain may take. */
export const rateMax = 1_000_000;
export const timeoutMsMax = 86_400_000;
export const slotMax = 63;

/** Carries out an operation on the shards. `shardcast cancel`, or a stop of the cluster, ends it early. @throws Refused when it was not begun. */
export async function operate<Result>(
	context: VerbContext,
	carryOut: (shards: ShardOperations, onProgress: (progress: OperationProgress) => void) => Promise<Result>,
): Promise<Result> {
	const { cluster, signal } = context;
	const { operations } = shardsOf(context);
	const end = () => operations.end(cluster.isStopping() ? "the cluster stops" : "it was cancelled");
	signal.addEventListener("abort", end, { once: true });
	try {
		return await carryOut(operations, ({ text, moved, left }) => context.progress(text, { moved, left }));
	} catch (error) {
		if (error instanceof OperationRefused) throw new Refused(error.message);
		// As it was asked to. A problem that it meets at that moment is told in the same way: the message says which.
		if (error instanceof OperationAborted && (signal.aborted || error.isWanted)) throw new EndedEarly(error.message);
		throw error;
	} finally {
		signal.removeEventListener("abort", end);
	}
}

/** @throws Refused in a gateway. */
export function shardsOf({ cluster: { shards } }: VerbContext): AdminShards {
	if (shards === null) throw new Refused("this is a gateway, whose processes cannot be drained or restarted one by one");
	return shards;
}

import { type Ask, type RevocationChange, revocationsMax, revokeQuestion, storeRevocationQuestion } from "@shardcast/control";
import { ErrorCode } from "@shardcast/protocol";

interface RevocationProblem {
	readonly code: ErrorCode;
	readonly message: string;
}

/**
 * Blocks or unblocks a user or token, on all shards of all nodes. It is kept first, so that a shard that starts meanwhile has it.
 * @returns null, or what is wrong although it may be in force. Rejects when a shard or node may not have carried it out: try again.
 */
export async function changeRevocation(ask: Ask, change: RevocationChange): Promise<RevocationProblem | null> {
	const outcome = await ask(storeRevocationQuestion, change);
	if (outcome === "full")
		return {
			code: ErrorCode.limitExceeded,
			message: `${revocationsMax} users and tokens are blocked already; give them a time when that ends`,
		};
	await ask(revokeQuestion, change);
	switch (outcome) {
		case "alone":
			return {
				code: ErrorCode.internal,
				message: "it is in force on this node only: Redis cannot be reached. The other nodes get it when Redis is reached again",
			};
		case "unwritten":
			return {
				code: ErrorCode.internal,
				message: "it is in force, but could not be written: if this server ends before it can be, it is lost; the log says why",
			};
		default:
			return null;
	}
}

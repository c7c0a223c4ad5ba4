import type { Reply } from "@shardcast/http";
import type { ShardRevocations } from "../centrifuge/tokens/shard-revocations.ts";
import type { TokenId } from "../centrifuge/tokens/token-id.ts";
import { forbidden, unauthorized } from "./raw-access.ts";

/** The answer to a client that comes with a valid token, but whose user is blocked or whose token is revoked; null = it may connect. */
export function revokedReply(
	revocations: Pick<ShardRevocations, "isBlocked" | "isRevoked">,
	{ user, token }: { readonly user: string; readonly token: TokenId | null },
): Reply | null {
	if (revocations.isBlocked(user)) return forbidden("the user is blocked").refused;
	return revocations.isRevoked(user, token) ? unauthorized("the token is not accepted any more").refused : null;
}

import { type Ask, type RevocationChange, revocationsMax, revokeQuestion, storeRevocationQuestion } from "@shardcast/control";
import { ErrorCode } from "@shardcast/protocol";
import { FieldError, type Fields, requiredField } from "../../json/fields.ts";
import { requiredUserField } from "../../json/user-id.ts";
import { revokedIdLengthMax } from "../../sessions/centrifuge/tokens/token-id.ts";
import type { ApiMethod } from "./api-call.ts";
import { ApiError } from "./api-error.ts";
import { expireAtField } from "./api-fields.ts";

interface RevocationMethodsParts {
	/** Puts a question to all shards; rejects with an ApiError. */
	readonly ask: Ask;
}

/** Users and tokens that are refused on all shards. A change is kept first, so that a shard that starts meanwhile has it. */
export function revocationMethods({
	ask,
}: RevocationMethodsParts): Readonly<Record<"block_user" | "unblock_user" | "revoke_token" | "invalidate_user_tokens", ApiMethod>> {
	const change = async (request: RevocationChange): Promise<string> => {
		const outcome = await ask(storeRevocationQuestion, request);
		if (outcome === "full")
			throw new ApiError(ErrorCode.limitExceeded, `${revocationsMax} users and tokens are blocked already; give them an expire_at`);
		await ask(revokeQuestion, request);
		if (outcome === "alone")
			throw new ApiError(
				ErrorCode.internal,
				"it is in force on this node only: Redis cannot be reached. The other nodes get it when Redis is reached again",
			);
		if (outcome === "unwritten")
			throw new ApiError(ErrorCode.internal, "it is in force, but could not be written: it ends with this server; the log says why");
		return "{}";
	};
	return {
		block_user: ({ fields }) => change({ add: { kind: "user", id: requiredUserField(fields), ...untilOf(fields) } }),
		unblock_user: ({ fields }) => change({ remove: { kind: "user", id: requiredUserField(fields) } }),
		revoke_token: ({ fields }) => change({ add: { kind: "token", id: tokenIdField(fields), ...untilOf(fields) } }),
		invalidate_user_tokens: ({ fields }) => {
			const before = fields.issued_before;
			if (typeof before !== "number" || !Number.isFinite(before) || before < 0)
				throw new FieldError("issued_before is not a number of seconds");
			return change({ add: { kind: "user_tokens", id: requiredUserField(fields), before, ...untilOf(fields) } });
		},
	};
}

function tokenIdField(fields: Fields): string {
	const id = requiredField(fields, "uid");
	if (id.length > revokedIdLengthMax) throw new FieldError(`uid has more than ${revokedIdLengthMax} characters`);
	return id;
}

function untilOf(fields: Fields): { readonly until?: number } {
	const until = expireAtField(fields);
	return until > 0 ? { until } : {};
}

import type { Ask, RevocationChange } from "@shardcast/control";
import { FieldError, type Fields, requiredField } from "../../json/fields.ts";
import { requiredUserField } from "../../json/user-id.ts";
import { revokedIdLengthMax } from "../../sessions/centrifuge/tokens/token-id.ts";
import type { ApiMethod } from "./api-call.ts";
import { ApiError } from "./api-error.ts";
import { expireAtField } from "./api-fields.ts";
import { changeRevocation } from "./revocation-change.ts";

interface RevocationMethodsParts {
	/** Puts a question to all shards; rejects with an ApiError. */
	readonly ask: Ask;
}

/** Users and tokens that are refused on all shards. */
export function revocationMethods({
	ask,
}: RevocationMethodsParts): Readonly<Record<"block_user" | "unblock_user" | "revoke_token" | "invalidate_user_tokens", ApiMethod>> {
	const change = async (request: RevocationChange): Promise<string> => {
		const problem = await changeRevocation(ask, request);
		if (problem !== null) throw new ApiError(problem.code, problem.message);
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

import type { Ask, RevocationChange } from "@shardcast/control";
import { FieldError, type Fields, requiredField } from "../../json/fields.ts";
import { requiredUserField } from "../../json/user-id.ts";
import { revokedIdLengthMax } from "../../sessions/centrifuge/tokens/token-id.ts";
import type { ApiCall, ApiMethod } from "./api-call.ts";
import { ApiError } from "./api-error.ts";
import { expireAtField } from "./api-fields.ts";
import { changeRevocation } from "./revocation-change.ts";

interface RevocationMethodsParts {
	/** Puts a question to all shards; rejects with an ApiError. */
	readonly ask: Ask;
	/** Writes an audit line: who has blocked whom, and whether it is in force. */
	readonly audit: (fields: object, text: string) => void;
}

/** Users and tokens that are refused on all shards. */
export function revocationMethods({
	ask,
	audit,
}: RevocationMethodsParts): Readonly<Record<"block_user" | "unblock_user" | "revoke_token" | "invalidate_user_tokens", ApiMethod>> {
	const change = async (method: string, { request: from }: ApiCall, request: RevocationChange): Promise<string> => {
		const { kind, id } = "add" in request ? request.add : request.remove;
		const key = from.key.name;
		const { address } = from.source;
		const done = (outcome: string) =>
			audit(
				{ audit: "revocation", method, kind, id, key, address, outcome },
				`api: the key ${key} from ${address} calls ${method} for ${JSON.stringify(id)}: ${outcome}`,
			);
		try {
			const problem = await changeRevocation(ask, request);
			if (problem !== null) throw new ApiError(problem.code, problem.message);
		} catch (error) {
			done((error as Error).message);
			throw error;
		}
		done("done");
		return "{}";
	};
	return {
		block_user: (call) =>
			change("block_user", call, { add: { kind: "user", id: requiredUserField(call.fields), ...untilOf(call.fields) } }),
		unblock_user: (call) => change("unblock_user", call, { remove: { kind: "user", id: requiredUserField(call.fields) } }),
		revoke_token: (call) =>
			change("revoke_token", call, { add: { kind: "token", id: tokenIdField(call.fields), ...untilOf(call.fields) } }),
		invalidate_user_tokens: (call) => {
			const { fields } = call;
			const before = fields.issued_before;
			if (typeof before !== "number" || !Number.isFinite(before) || before < 0)
				throw new FieldError("issued_before is not a number of seconds");
			return change("invalidate_user_tokens", call, {
				add: { kind: "user_tokens", id: requiredUserField(fields), before, ...untilOf(fields) },
			});
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

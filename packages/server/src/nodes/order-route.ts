import { isUtf8 } from "node:buffer";
import { type BodyRoute, json, noStore, type Reply, refusal } from "@shardcast/http";
import type { ApiAccess } from "../http/api-access.ts";
import { bodyFields, FieldError, type Fields } from "../json/fields.ts";
import { FailoverRefused } from "./failover.ts";

interface OrderRouteParts {
	/** Name of the method that a key must permit. */
	readonly method: string;
	readonly path: string;
	readonly access: Pick<ApiAccess, "keyFor">;
	/** The names of the fields that a request may have. */
	readonly fields: readonly string[];
	/** Resolves with the answer, as JSON; null = this machine works alone. @throws FieldError for a wrong field, FailoverRefused. */
	readonly carryOut: (fields: Fields) => Promise<unknown>;
}

const bodyBytesMax = 16_384;

/** `POST /cluster/…`: an order to nodes, for those who have a key that permits it. The body is a JSON object, or empty. */
export function orderRoute({ method, path, access, fields: known, carryOut }: OrderRouteParts): BodyRoute {
	const answer = async (body: Uint8Array): Promise<Reply> => {
		try {
			// The body is valid only in this step.
			const fields = fieldsIn(body, known);
			const unknown = Object.keys(fields).find((name) => !known.includes(name));
			if (unknown !== undefined) throw new FieldError(`"${unknown.slice(0, 40)}" is not one of ${known.join(", ")}`);
			const result = await carryOut(fields);
			return result === null ? alone : json(200, result, noStore);
		} catch (error) {
			if (error instanceof FieldError) return refusal("bad_request", error.message, { close: false });
			return refusal(error instanceof FailoverRefused ? error.code : "unavailable", (error as Error).message, { close: false });
		}
	};
	return {
		kind: "body",
		method: "POST",
		path,
		keepAlive: true,
		bodyBytesMax,
		begin: (request) => {
			const key = access.keyFor(request, method);
			return "status" in key ? key : answer;
		},
	};
}

export const alone = refusal("not_found", "this machine works alone: it has no Redis (--redis-url)", { close: false });

function fieldsIn(body: Uint8Array, known: readonly string[]): Fields {
	if (body.length === 0) return {};
	try {
		if (!isUtf8(body)) throw new FieldError("the body is not JSON: it is not UTF-8");
		const fields = bodyFields(body);
		if (fields === null) throw new FieldError("body is not an object");
		return fields;
	} catch (error) {
		throw new FieldError(`${(error as Error).message}; it must be a JSON object, and its fields are ${known.join(", ")}`);
	}
}

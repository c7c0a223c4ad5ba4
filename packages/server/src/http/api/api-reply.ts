import { json, type Reply, refusal } from "@shardcast/http";
import { ErrorCode } from "@shardcast/protocol";
import { JsonSyntaxError } from "@shardcast/wire";
import { FieldError } from "../../json/fields.ts";
import { NotJsonError, PublishRequestError } from "../publish-request.ts";
import type { JsonText } from "./api-call.ts";
import { ApiError } from "./api-error.ts";

/**
 * What surrounds a result: `{"result":…}`; bare = nothing, as in Centrifugo's reply to a batch; lines = nothing, and no line break at the end.
 */
export type ResultForm = "result" | "bare" | "lines";

/** The reply to a successful call. */
export function resultReply(result: JsonText, form: ResultForm): Reply {
	const [before, behind] = form === "result" ? ['{"result":', "}\n"] : ["", form === "lines" ? "" : "\n"];
	return { ...json(200, null), body: Buffer.concat([Buffer.from(before), Buffer.from(result), Buffer.from(behind)]) };
}

/**
 * The reply to a failed call.
 * @param inStatus whether the HTTP status reports the error, too.
 * @throws errors that the request did not cause.
 */
export function errorReply(error: unknown, inStatus: boolean, form: ResultForm): Reply {
	if (error instanceof SyntaxError || error instanceof NotJsonError) return refusal("bad_request", error.message, { close: false });
	if (error instanceof JsonSyntaxError) return refusal("bad_request", `the body is not JSON: ${error.message}`, { close: false });
	const { code, isForbidden } = apiErrorOf(error);
	const status = isForbidden ? 403 : inStatus ? statusOf(code) : 200;
	return { ...json(status, null), body: `${errorText(error)}${form === "lines" ? "" : "\n"}` };
}

/** `{"error":{"code","message"}}` */
export function errorText(error: unknown): string {
	const { code, message } = apiErrorOf(error);
	return JSON.stringify({ error: { code, message } });
}

function apiErrorOf(error: unknown): ApiError {
	if (error instanceof ApiError) return error;
	if (error instanceof FieldError || error instanceof SyntaxError) return new ApiError(ErrorCode.badRequest, error.message);
	if (error instanceof PublishRequestError)
		return new ApiError(error.code === "too_large" ? ErrorCode.limitExceeded : ErrorCode.badRequest, error.message);
	throw error;
}

/** Used with `X-Centrifugo-Error-Mode: transport`. */
function statusOf(code: ErrorCode): number {
	return statuses[code] ?? 400;
}
const statuses: { readonly [Code in ErrorCode]?: number } = {
	[ErrorCode.internal]: 500,
	[ErrorCode.unauthorized]: 401,
	[ErrorCode.unknownChannel]: 404,
	[ErrorCode.permissionDenied]: 403,
	[ErrorCode.methodNotFound]: 404,
	[ErrorCode.tooManyRequests]: 429,
	[ErrorCode.unrecoverablePosition]: 416,
};

import { type ErrorCode, replyErrors } from "@shardcast/protocol";

/** Why a method of the server API failed, with an error code of the protocol. */
export class ApiError extends Error {
	readonly code: ErrorCode;

	/** @param detail appended to the usual message of the code. */
	constructor(code: ErrorCode, detail?: string) {
		const { message } = replyErrors[code];
		super(detail === undefined ? message : `${message}: ${detail}`);
		this.code = code;
	}

	/** Whether the key of the request does not permit it. */
	get isForbidden(): boolean {
		return this instanceof ApiForbidden;
	}
}

export class ApiForbidden extends ApiError {}

import { type ErrorCode, replyErrors } from "@shardcast/protocol";

/** Why a method of the server API was not carried out, with a code of the protocol. */
export class ApiError extends Error {
	readonly code: ErrorCode;

	/** @param detail behind the usual message of the code. */
	constructor(code: ErrorCode, detail?: string) {
		const { message } = replyErrors[code];
		super(detail === undefined ? message : `${message}: ${detail}`);
		this.code = code;
	}

	/** The request's key has no right to it. */
	get isForbidden(): boolean {
		return this instanceof ApiForbidden;
	}
}

export class ApiForbidden extends ApiError {}

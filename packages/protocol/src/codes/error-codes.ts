/** Why a command failed: the codes of error replies. 0–399 belong to the protocol; applications use 400–1999. */
export const ErrorCode = {
	internal: 100,
	unauthorized: 101,
	unknownChannel: 102,
	permissionDenied: 103,
	methodNotFound: 104,
	alreadySubscribed: 105,
	limitExceeded: 106,
	badRequest: 107,
	notAvailable: 108,
	tokenExpired: 109,
	expired: 110,
	tooManyRequests: 111,
	unrecoverablePosition: 112,
	concurrentPagination: 113,
} as const;
export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode];

/** The body of an error reply. */
export interface ReplyError {
	readonly code: number;
	readonly message?: string | undefined;
	/** The client may send the same command again. */
	readonly temporary?: boolean | undefined;
}

const messages: Readonly<Record<ErrorCode, string>> = {
	[ErrorCode.internal]: "internal server error",
	[ErrorCode.unauthorized]: "unauthorized",
	[ErrorCode.unknownChannel]: "unknown channel",
	[ErrorCode.permissionDenied]: "permission denied",
	[ErrorCode.methodNotFound]: "method not found",
	[ErrorCode.alreadySubscribed]: "already subscribed",
	[ErrorCode.limitExceeded]: "limit exceeded",
	[ErrorCode.badRequest]: "bad request",
	[ErrorCode.notAvailable]: "not available",
	[ErrorCode.tokenExpired]: "token expired",
	[ErrorCode.expired]: "expired",
	[ErrorCode.tooManyRequests]: "too many requests",
	[ErrorCode.unrecoverablePosition]: "unrecoverable position",
	[ErrorCode.concurrentPagination]: "concurrent pagination",
};

const temporary: ReadonlySet<ErrorCode> = new Set([ErrorCode.internal, ErrorCode.tooManyRequests, ErrorCode.concurrentPagination]);

/** Code and message of each, with the wording of the reference server. */
export const replyErrors = Object.freeze(
	Object.fromEntries(
		Object.values(ErrorCode).map((code) => [code, Object.freeze({ code, message: messages[code], temporary: temporary.has(code) })]),
	),
) as Readonly<Record<ErrorCode, { readonly code: ErrorCode; readonly message: string; readonly temporary: boolean }>>;

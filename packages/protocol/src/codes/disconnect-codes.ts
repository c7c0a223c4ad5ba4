/**
 * Why the server closes a connection: the close code of a WebSocket, or the code of a disconnect push on other transports. Applications use
 * 4000–4999. Clients do not reconnect after 3500–3999 and 4500–4999.
 */
export const DisconnectCode = {
	connectionClosed: 3000,
	shutdown: 3001,
	serverError: 3004,
	expired: 3005,
	subscriptionExpired: 3006,
	slow: 3008,
	writeError: 3009,
	insufficientState: 3010,
	forceReconnect: 3011,
	noPong: 3012,
	tooManyRequests: 3013,
	stateInvalidated: 3014,
	invalidToken: 3500,
	badRequest: 3501,
	stale: 3502,
	forceNoReconnect: 3503,
	connectionLimit: 3504,
	channelLimit: 3505,
	inappropriateProtocol: 3506,
	permissionDenied: 3507,
	notAvailable: 3508,
	tooManyErrors: 3509,
} as const;
export type DisconnectCode = (typeof DisconnectCode)[keyof typeof DisconnectCode];

/** A WebSocket close code with its reason (≤ 123 bytes), and the body of a disconnect push. */
export interface Disconnect {
	readonly code: number;
	readonly reason?: string | undefined;
}

const reasons: Readonly<Record<DisconnectCode, string>> = {
	[DisconnectCode.connectionClosed]: "connection closed",
	[DisconnectCode.shutdown]: "shutdown",
	[DisconnectCode.serverError]: "internal server error",
	[DisconnectCode.expired]: "connection expired",
	[DisconnectCode.subscriptionExpired]: "subscription expired",
	[DisconnectCode.slow]: "slow",
	[DisconnectCode.writeError]: "write error",
	[DisconnectCode.insufficientState]: "insufficient state",
	[DisconnectCode.forceReconnect]: "force reconnect",
	[DisconnectCode.noPong]: "no pong",
	[DisconnectCode.tooManyRequests]: "too many requests",
	[DisconnectCode.stateInvalidated]: "state invalidated",
	[DisconnectCode.invalidToken]: "invalid token",
	[DisconnectCode.badRequest]: "bad request",
	[DisconnectCode.stale]: "stale",
	[DisconnectCode.forceNoReconnect]: "force disconnect",
	[DisconnectCode.connectionLimit]: "connection limit",
	[DisconnectCode.channelLimit]: "channel limit",
	[DisconnectCode.inappropriateProtocol]: "inappropriate protocol",
	[DisconnectCode.permissionDenied]: "permission denied",
	[DisconnectCode.notAvailable]: "not available",
	[DisconnectCode.tooManyErrors]: "too many errors",
};

/** Code and reason of each, with the wording of the reference server. */
export const disconnects = Object.freeze(
	Object.fromEntries(Object.values(DisconnectCode).map((code) => [code, Object.freeze({ code, reason: reasons[code] })])),
) as Readonly<Record<DisconnectCode, Disconnect & { readonly reason: string }>>;

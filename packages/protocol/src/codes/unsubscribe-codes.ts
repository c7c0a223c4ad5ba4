/** Why the server ends a subscription: the codes of unsubscribe pushes. For codes from 2500 the client subscribes again. */
export const UnsubscribeCode = {
	server: 2000,
	insufficientState: 2500,
	expired: 2501,
	stateInvalidated: 2502,
} as const;
export type UnsubscribeCode = (typeof UnsubscribeCode)[keyof typeof UnsubscribeCode];

/** The body of an unsubscribe push. */
export interface Unsubscribe {
	readonly code: number;
	readonly reason?: string | undefined;
}

/** Code and reason of each, with the wording of the reference server. */
export const unsubscribes: Readonly<Record<UnsubscribeCode, Unsubscribe & { readonly reason: string }>> = {
	[UnsubscribeCode.server]: { code: UnsubscribeCode.server, reason: "server unsubscribe" },
	[UnsubscribeCode.insufficientState]: { code: UnsubscribeCode.insufficientState, reason: "insufficient state" },
	[UnsubscribeCode.expired]: { code: UnsubscribeCode.expired, reason: "subscription expired" },
	[UnsubscribeCode.stateInvalidated]: { code: UnsubscribeCode.stateInvalidated, reason: "state invalidated" },
};

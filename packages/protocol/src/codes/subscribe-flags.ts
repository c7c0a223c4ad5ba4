/** Bits of `SubscribeRequest.flag`. */
export const SubscribeFlag = {
	/** The client understands numeric channel ids in pushes. The JavaScript client always sets it; a server may ignore it. */
	channelIds: 1,
	/** A subscription that cannot be recovered is refused (error 112). */
	rejectUnrecovered: 2,
} as const;

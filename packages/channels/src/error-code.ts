/** Why a channel is refused: these codes of the protocol's error replies. */
export const ChannelError = {
	unknownChannel: 102,
	permissionDenied: 103,
	badRequest: 107,
	notAvailable: 108,
} as const;
export type ChannelError = (typeof ChannelError)[keyof typeof ChannelError];

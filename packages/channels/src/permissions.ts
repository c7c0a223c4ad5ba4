import type { ChannelOptions, Config } from "@shardcast/config";
import { DisconnectCode, ErrorCode } from "@shardcast/protocol";
import type { Channel } from "./channel.ts";

/** The client of the protocol whose permission is checked. */
interface Requester {
	/** "" = anonymous. */
	readonly user: string;
	/** `client.insecure`: allows everything that is enabled. */
	readonly insecure: boolean;
}

interface SubscribedRequester extends Requester {
	/** Whether it is subscribed to the channel in question. */
	readonly subscribed: boolean;
}

interface ByBackend {
	readonly backend?: "asked" | "failed";
}

type Right = "Publish" | "History" | "Presence";

/**
 * Checks whether a client may subscribe without a token. Null = yes.
 * @param requester.hasToken it has a valid subscription token for this channel.
 * @param requester.backend for channels where a backend decides: `asked` = the backend will be asked; `failed` = it failed, and the options apply as
 * without a backend. If absent for such a channel, nobody may subscribe.
 */
export function subscribeError(channel: Channel, requester: Requester & { readonly hasToken: boolean } & ByBackend): ErrorCode | null {
	if (channel.error !== null) return channel.error;
	if (channel.isPattern && !channel.options.allowWildcard) return ErrorCode.notAvailable;
	if (requester.hasToken) return null;
	// Not allowed in insecure mode either.
	if (channel.needsToken) return ErrorCode.permissionDenied;
	// The name of a user-limited channel says who may subscribe.
	if (channel.options.subscribeProxyEnabled && channel.users === null && requester.backend !== "failed")
		return requester.backend === "asked" ? null : ErrorCode.permissionDenied;
	if (requester.insecure) return null;
	const { allowSubscribeForClient, allowSubscribeForAnonymous } = channel.options;
	const allowed =
		channel.users === null
			? allowSubscribeForClient && (requester.user !== "" || allowSubscribeForAnonymous)
			: channel.users.includes(requester.user);
	return allowed ? null : ErrorCode.permissionDenied;
}

/** Checks whether a client may publish. Null = yes. @param requester.backend see `subscribeError`. */
export function publishError(channel: Channel, requester: SubscribedRequester & ByBackend): ErrorCode | null {
	if (channel.error !== null) return channel.error;
	if (channel.isPattern) return ErrorCode.badRequest;
	if (channel.options.publishProxyEnabled && requester.backend !== "failed")
		return requester.backend === "asked" ? null : ErrorCode.permissionDenied;
	return permission(channel.options, "Publish", requester);
}

/** Checks whether a client may read the history. Null = yes. */
export function historyError(channel: Channel, requester: SubscribedRequester): ErrorCode | null {
	if (channel.error !== null) return channel.error;
	return channel.history === null || channel.isPattern ? ErrorCode.notAvailable : permission(channel.options, "History", requester);
}

/** Checks whether a client may read presence. Null = yes. */
export function presenceError(channel: Channel, requester: SubscribedRequester): ErrorCode | null {
	if (channel.error !== null) return channel.error;
	return channel.options.presence && !channel.isPattern ? permission(channel.options, "Presence", requester) : ErrorCode.notAvailable;
}

/** Whether this subscriber receives joins and leaves. @param asked whether it asked for them. */
export function receivesJoins({ options }: Channel, requester: Requester, asked: boolean): boolean {
	if (!options.joinLeave) return false;
	return options.forcePushJoinLeave || (asked && permission(options, "Presence", { ...requester, subscribed: true }) === null);
}

function permission(options: ChannelOptions, right: Right, { user, subscribed, insecure }: SubscribedRequester): ErrorCode | null {
	const group = options[`allow${right}ForClient`] || (subscribed && options[`allow${right}ForSubscriber`]);
	const allowed = insecure || (group && (user !== "" || options[`allow${right}ForAnonymous`]));
	return allowed ? null : ErrorCode.permissionDenied;
}

export interface Positions {
	/** The subscriber gets offset and epoch, and a lost publication is detected. */
	readonly positioned: boolean;
	/** The subscriber gets what it missed. */
	readonly recoverable: boolean;
}

/** Which of the requested features a subscriber gets. None without history, because then there are no offsets. */
export function grantedPositions({ options, history, isPattern }: Channel, requester: Requester, asked: Positions): Positions {
	if (history === null || isPattern) return { positioned: false, recoverable: false };
	const mayRead = permission(options, "History", { ...requester, subscribed: true }) === null;
	const recoverable = options.forceRecovery || (asked.recoverable && (options.allowRecovery || mayRead));
	const positioned = options.forcePositioning || (asked.positioned && (options.allowPositioning || mayRead));
	// Recovery requires a position.
	return { positioned: positioned || recoverable, recoverable };
}

type ConnectConfig = Pick<Config, "clientInsecure" | "allowAnonymousConnect" | "disallowAnonymousTokens">;

/**
 * Checks whether a client may connect. Null = yes, otherwise the disconnect code.
 * @param user the user of its verified token, "" = anonymous; null = no token.
 */
export function connectDisconnect(user: string | null, config: ConnectConfig): DisconnectCode | null {
	if (user === null) return config.clientInsecure || config.allowAnonymousConnect ? null : DisconnectCode.badRequest;
	return user === "" && config.disallowAnonymousTokens ? DisconnectCode.permissionDenied : null;
}

type PersonalChannelConfig = Pick<
	Config,
	"personalChannelEnabled" | "personalChannelNamespace" | "channelNamespaceBoundary" | "channelUserBoundary"
>;

/** The channel that the server subscribes all connections of a user to; null = none. */
export function personalChannelOf(config: PersonalChannelConfig, user: string): string | null {
	if (!config.personalChannelEnabled || user === "") return null;
	const { personalChannelNamespace: namespace, channelNamespaceBoundary, channelUserBoundary } = config;
	return `${namespace === "" ? "" : `${namespace}${channelNamespaceBoundary}`}${channelUserBoundary}${user}`;
}

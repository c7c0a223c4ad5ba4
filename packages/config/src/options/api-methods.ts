/** The methods of the server API: `POST /api/<method>`. */
export const apiMethods = [
	...(["publish", "broadcast", "batch", "send_to_user", "send_to_all"] as const),
	...(["subscribe", "unsubscribe", "disconnect", "refresh"] as const),
	...(["presence", "presence_stats", "history", "history_remove"] as const),
	...(["channels", "connections", "info"] as const),
	...(["block_user", "unblock_user", "revoke_token", "invalidate_user_tokens"] as const),
	...(["assign_session"] as const),
] as const;
/** What a key can permit: these methods, and orders to nodes (`POST /cluster/<order>`). */
export const apiKeyMethods = [...apiMethods, "rebalance", "failover"] as const;
export type ApiMethodName = (typeof apiMethods)[number];

/** Those that are about named channels. */
export const apiChannelMethods: ReadonlySet<ApiMethodName> = new Set<ApiMethodName>([
	...(["publish", "broadcast", "batch", "subscribe", "unsubscribe"] as const),
	...(["presence", "presence_stats", "history", "history_remove", "channels"] as const),
]);

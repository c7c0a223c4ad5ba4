/** What a webhook can tell, with Centrifugo's names where it has one. */
export const webhookEventTypes = [
	...(["connect", "disconnect", "subscribe", "unsubscribe", "occupied", "vacated", "cache_empty"] as const),
	...(["node_joined", "node_left", "node_updated", "scale_up", "scale_down"] as const),
] as const;
export type WebhookEventType = (typeof webhookEventTypes)[number];

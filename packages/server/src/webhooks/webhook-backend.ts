import type { WebhookOptions } from "@shardcast/config";
import type { Caller } from "@shardcast/webhooks";
import { Backend } from "../backend/backend.ts";

/** Nobody reads it. */
const replyBytesMax = 64 * 1024;

/** Sends the requests of a webhook, one at a time, which keeps its events in order. */
export function openWebhookBackend({ name, endpoint, timeoutMs }: WebhookOptions): Caller {
	return new Backend({ name, endpoint, timeoutMs, concurrency: 1, queueMax: 1, replyBytesMax });
}

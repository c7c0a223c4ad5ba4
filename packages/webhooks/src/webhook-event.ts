import type { WebhookEventType } from "@shardcast/config";

/** Something that a webhook may tell. The fields have the names of the request's JSON; `at` is its `time_ms`, and `start` begins a stream. */
type WebhookEvent =
	| { readonly type: "start"; readonly at: number }
	| {
			readonly type: "connect";
			readonly at: number;
			readonly client: string;
			readonly user: string;
			readonly transport: string;
			readonly protocol: string;
	  }
	| { readonly type: "disconnect"; readonly at: number; readonly client: string; readonly user: string; readonly code: number }
	| { readonly type: "subscribe"; readonly at: number; readonly client: string; readonly user: string; readonly channel: string }
	| {
			readonly type: "unsubscribe";
			readonly at: number;
			readonly client: string;
			readonly user: string;
			readonly channel: string;
			readonly code: number;
	  }
	| { readonly type: "occupied" | "vacated" | "cache_empty"; readonly at: number; readonly channel: string };

/** One that comes from the shards. */
export type ClientEvent = Exclude<WebhookEvent, { readonly type: "start" }>;

type Told = WebhookEvent["type"];
/** Every event of the options can be told, and nothing else but the beginning. */
type Missing = Exclude<WebhookEventType, Told> | Exclude<Told, WebhookEventType | "start">;
null as unknown as Missing satisfies never;

/** The code of the end of a subscription that ended with its connection. */
export const disconnected = 1;

/** The members of the JSON object without its braces: webhooks share it, and each adds its own id. */
export function eventMembers({ at, ...rest }: WebhookEvent): string {
	return JSON.stringify({ ...rest, time_ms: at }).slice(1, -1);
}

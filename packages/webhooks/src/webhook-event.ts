import type { WebhookEventType } from "@shardcast/config";

/** An event of a webhook. The fields have the names of the request's JSON; `at` is its `time_ms`, and `start` begins a stream. */
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
	| { readonly type: "occupied" | "vacated" | "cache_empty"; readonly at: number; readonly channel: string }
	| NodeEvent;

/** A node of the cluster has joined, left or changed, or the cluster should grow or shrink. */
export type NodeEvent =
	| ({ readonly type: "scale_up" | "scale_down"; readonly at: number } & ScaleFacts)
	| ({ readonly type: "node_joined" | "node_updated"; readonly at: number } & NodeFacts)
	| { readonly type: "node_left"; readonly at: number; readonly node: string; readonly reason: string };

interface ScaleFacts {
	/** Nodes that take clients. */
	readonly nodes: number;
	readonly connections: number;
	readonly max_connections: number;
	/** Connections as part of what these nodes can take. */
	readonly load: number;
}

interface NodeFacts {
	/** Its id. */
	readonly node: string;
	readonly address: string;
	readonly region: string;
	readonly status: string;
	readonly health: string;
}

/** An event that comes from a shard. */
export type ClientEvent = Exclude<WebhookEvent, { readonly type: "start" } | NodeEvent>;

type Told = WebhookEvent["type"];
/** Checked by the compiler: the event types are those of the options, and `start`. */
type Missing = Exclude<WebhookEventType, Told> | Exclude<Told, WebhookEventType | "start">;
null as unknown as Missing satisfies never;

/** Unsubscribe code for a subscription that ended with its connection. */
export const disconnected = 1;

/** The members of the JSON object without its braces: all webhooks share them, and each adds its own id. */
export function eventMembers({ at, ...rest }: WebhookEvent): string {
	return JSON.stringify({ ...rest, time_ms: at }).slice(1, -1);
}

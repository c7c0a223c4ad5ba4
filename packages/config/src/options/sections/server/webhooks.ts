import { parseEndpoint } from "../../../units/endpoint.ts";
import { field } from "../../kind.ts";
import { checkedText, duration, integer, list, secret, text } from "../../kinds.ts";
import { type Item, objects } from "../../objects.ts";
import { option } from "../../option.ts";
import { type WebhookEventType, webhookEventTypes } from "../../webhook-events.ts";

/** In `namespaces` of a webhook: channels without a namespace. */
export const withoutNamespace = "without_namespace";

/** One receiver of events. */
const webhookFields = {
	name: field({
		key: "name",
		kind: text({ argument: "<name>", matches: /^[-a-zA-Z0-9_.]{1,64}$/, expected: "a name of letters, digits, - _ and ." }),
		help: "Name in logs, metrics and a header of each request.",
	}),
	endpoint: field({
		key: "endpoint",
		kind: checkedText({ argument: "<url>", check: checkWebhookEndpoint }),
		help: "URL to which events are POSTed; redirects are not followed.",
	}),
	secret: field({
		key: "secret",
		kind: secret({ argument: "<key>", charactersMin: 16 }),
		default: undefined,
		help: "Key that signs each request, at least 16 characters; required.",
	}),
	formerSecret: field({
		key: "former_secret",
		kind: secret({ argument: "<key>", charactersMin: 16 }),
		default: undefined,
		help: "Previous key, which also signs while you rotate keys.",
	}),
	events: field({
		key: "events",
		kind: list({ argument: "<names>", item: webhookEvent }),
		default: [],
		help: `Event types to send: ${webhookEventTypes.join(", ")}; none = all.`,
	}),
	namespaces: field({
		key: "namespaces",
		kind: list({ argument: "<names>" }),
		default: [],
		help: `Only events of channels in these namespaces, and events without a channel; ${withoutNamespace} = channels without one; none = all.`,
	}),
	timeoutMs: field({
		key: "timeout",
		kind: duration({ minMs: 10, maxMs: 60_000 }),
		default: 5000,
		help: "Maximum time for each request; a later reply is a failure.",
	}),
	batchMax: field({
		key: "batch_max",
		kind: integer({ min: 1, max: 10_000 }),
		default: 500,
		help: "Maximum number of events per request.",
	}),
	batchDelayMs: field({
		key: "batch_delay",
		kind: duration({ minMs: 1, maxMs: 60_000, zero: true }),
		default: 100,
		help: "How long the first event of a request waits for more events; 0 = no wait.",
	}),
	queueMax: field({
		key: "queue_max",
		kind: integer({ min: 1, max: 1_000_000 }),
		default: 100_000,
		help: "Maximum number of waiting events; when there are more, the oldest are dropped.",
	}),
	retryMinMs: field({
		key: "retry_min",
		kind: duration({ minMs: 10, maxMs: 3_600_000 }),
		default: 500,
		help: "Pause after the first failure; it doubles with each further failure.",
	}),
	retryMaxMs: field({
		key: "retry_max",
		kind: duration({ minMs: 10, maxMs: 3_600_000 }),
		default: 30_000,
		help: "Maximum pause between two attempts.",
	}),
} as const;

function checkWebhookEndpoint(url: string): void {
	if (url === "") throw new RangeError("is not a URL that begins with https:// or http://");
	parseEndpoint(url);
}

function webhookEvent(name: string): WebhookEventType {
	const type = webhookEventTypes.find((each) => each === name);
	if (type === undefined) throw new RangeError(`has "${name}", which is not an event of webhooks: ${webhookEventTypes.join(", ")}`);
	return type;
}

/** Section `webhooks`. */
export const webhookOptions = {
	webhooks: option({
		flag: "webhooks",
		key: "targets",
		kind: objects({ identity: "name", fields: webhookFields }),
		default: [],
		live: true,
		help: "Receivers of events: clients connect, disconnect, subscribe and unsubscribe; channels get their first subscriber and lose their last. A list of objects.",
	}),
	webhookVacatedDelayMs: option({
		flag: "webhook-vacated-delay",
		key: "vacated_delay",
		kind: duration({ minMs: 1, maxMs: 3_600_000, zero: true }),
		default: 5000,
		live: true,
		help: "How long a channel must have no subscribers before it counts as vacated, so that a reconnecting client causes no event; 0 = no wait.",
	}),
} as const;

export type WebhookOptions = Item<typeof webhookFields>;

/** Whether the webhook wants events of this type at all. */
export function wantsEvent({ events }: Pick<WebhookOptions, "events">, type: WebhookEventType): boolean {
	return events.length === 0 || events.includes(type);
}

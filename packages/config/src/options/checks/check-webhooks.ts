import { formatDuration } from "../../units/duration.ts";
import { withoutNamespace } from "../sections/server/webhooks.ts";
import type { Rule } from "./check.ts";

/** Each keeps its own queue and connection. */
const webhooksMax = 16;

export const webhookRules: readonly Rule[] = [
	function webhooksAreComplete({ webhooks, channelNamespaces }, name) {
		if (webhooks.length > webhooksMax) return `${name("webhooks")}: there are ${webhooks.length} webhooks; the most is ${webhooksMax}`;
		const known = new Set([withoutNamespace, ...channelNamespaces.map((namespace) => namespace.name)]);
		return webhooks.flatMap((webhook, index) => {
			const at = name("webhooks", [index]);
			const lines: string[] = [];
			if (webhook.secret === undefined) lines.push(`${at}: "${webhook.name}" has no secret, by which its receiver knows who sends`);
			if (webhook.retryMinMs > webhook.retryMaxMs)
				lines.push(
					`${at}: retry_min, ${formatDuration(webhook.retryMinMs)}, is longer than retry_max, ${formatDuration(webhook.retryMaxMs)}`,
				);
			for (const namespace of webhook.namespaces)
				if (!known.has(namespace)) lines.push(`${at}: there is no namespace "${namespace}"; add it to channel.namespaces`);
			return lines;
		});
	},
];

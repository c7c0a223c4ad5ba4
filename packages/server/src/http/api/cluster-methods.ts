import { type Ask, channelCountsQuestion, connectionsQuestion, nodesQuestion, pageOf } from "@shardcast/control";
import { FieldError, textField } from "../../json/fields.ts";
import { requiredUserField } from "../../json/user-id.ts";
import type { ApiMethod } from "./api-call.ts";
import { pageCut, pageField, pageWanted, tooMany } from "./page-fields.ts";

interface ClusterMethodsParts {
	/** Puts a question to all shards; rejects with an ApiError. */
	readonly ask: Ask;
}

/** Methods that describe the whole cluster. */
export function clusterMethods({ ask }: ClusterMethodsParts): Readonly<Record<"channels" | "connections" | "info", ApiMethod>> {
	return {
		channels: async ({ fields, request }) => {
			const pattern = textField(fields, "pattern") || "*";
			if (pattern.length > 255) throw new FieldError("pattern has more than 255 characters");
			const page = pageField(fields);
			const counts = await ask(channelCountsQuestion, { patterns: [pattern], ...pageWanted(page) });
			if (counts === null) throw tooMany("channels", ", or with a pattern that fewer names match");
			// JSON moves names that look like integers to the front.
			const found = pageOf(Object.entries(counts), ([name]) => name, pageWanted(page));
			const { own, next } = pageCut(found, ([name]) => name, page);
			// A page may be shorter, since the key does not permit all channels.
			const allowed = own.filter(([name]) => request.key.allowsChannel(name));
			return JSON.stringify({ channels: Object.fromEntries(allowed.map(([name, clients]) => [name, { num_clients: clients }])), ...next });
		},
		connections: async ({ fields }) => {
			const user = requiredUserField(fields);
			const page = pageField(fields);
			const found = await ask(connectionsQuestion, { user, ...pageWanted(page) });
			if (found === null) throw tooMany("connections", "");
			const { own, next } = pageCut(found, ({ client }) => client, page);
			const entries = own.map(({ client, channels, ...about }) => {
				const subscribed = Object.fromEntries(channels.map((name) => [name, {}]));
				return [client, { ...about, state: { channels: subscribed } }] as const;
			});
			return JSON.stringify({ connections: Object.fromEntries(entries), ...next });
		},
		info: async () => {
			const nodes = await ask(nodesQuestion, null);
			return JSON.stringify({
				nodes: nodes.map(({ uid, name, version, clients, users, subscriptions, channels, uptime }) => ({
					...{ uid, name, version, num_clients: clients, num_users: users, num_subs: subscriptions },
					...{ num_channels: channels, uptime },
				})),
			});
		},
	};
}

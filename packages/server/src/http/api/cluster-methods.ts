import { type Ask, channelCountsQuestion, connectionsQuestion, nodesQuestion } from "@shardcast/control";
import { ErrorCode } from "@shardcast/protocol";
import { FieldError, requiredField, textField } from "../../json/fields.ts";
import type { ApiMethod } from "./api-call.ts";
import { ApiError } from "./api-error.ts";

export interface ClusterMethodsParts {
	/** Puts a question to all shards; rejects with an ApiError. */
	readonly ask: Ask;
}

const tooMany = (what: string) => new ApiError(ErrorCode.limitExceeded, `there are more ${what} than fit into an answer`);

/** What all shards together have. */
export function clusterMethods({ ask }: ClusterMethodsParts): Readonly<Record<"channels" | "connections" | "info", ApiMethod>> {
	return {
		channels: async ({ fields, request }) => {
			const pattern = textField(fields, "pattern") || "*";
			if (pattern.length > 255) throw new FieldError("pattern has more than 255 characters");
			const counts = await ask(channelCountsQuestion, { patterns: [pattern] });
			if (counts === null) throw tooMany("channels: ask with a pattern that fewer names match,");
			const own = Object.entries(counts).filter(([name]) => request.key.allowsChannel(name));
			return JSON.stringify({ channels: Object.fromEntries(own.map(([name, clients]) => [name, { num_clients: clients }])) });
		},
		connections: async ({ fields }) => {
			const user = requiredField(fields, "user");
			const found = await ask(connectionsQuestion, { user });
			if (found === null) throw tooMany("connections");
			const entries = found.map(({ client, channels, ...about }) => {
				const subscribed = Object.fromEntries(channels.map((name) => [name, {}]));
				return [client, { ...about, state: { channels: subscribed } }] as const;
			});
			return JSON.stringify({ connections: Object.fromEntries(entries) });
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

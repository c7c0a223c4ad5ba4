import type { ChannelLog } from "@shardcast/channel-log";
import { type Channel, historyError, type Namespaces, presenceError } from "@shardcast/channels";
import { type Ask, presenceQuestion, presenceStatsQuestion } from "@shardcast/control";
import { ErrorCode, jsonCodec, type Reply } from "@shardcast/protocol";
import type { HistoryReader } from "../../durable/history-reader.ts";
import { FieldError, flagField, requiredField } from "../../json/fields.ts";
import { readHistory } from "../../sessions/centrifuge/commands/channel/history-read.ts";
import { presenceResult } from "../../sessions/centrifuge/commands/channel/presence-commands.ts";
import { publicationFor } from "../../sessions/centrifuge/commands/recovery/recovery.ts";
import { webSocketJson } from "../../sessions/centrifuge/framing.ts";
import { inALaterTurn, waitMsMax } from "../../sessions/centrifuge/timing/in-a-later-turn.ts";
import type { ApiCall, ApiMethod, JsonText } from "./api-call.ts";
import { ApiError } from "./api-error.ts";
import { sinceField } from "./api-fields.ts";

export interface ChannelMethodsParts {
	/** Looked up at each use. */
	readonly namespaces: () => Pick<Namespaces, "of">;
	/** The most publications in one history reply. */
	readonly historyLimit: () => number;
	/** The histories of all channels, wherever they are kept. */
	readonly histories: HistoryReader;
	readonly log: Pick<ChannelLog, "removeHistory">;
	/** Puts a question to all shards; rejects with an ApiError. */
	readonly ask: Ask;
}

/** A backend may read every channel: a request is refused only if the channel has nothing to read. */
const backend = { user: "", insecure: true, subscribed: true };

/** Methods that read one channel. Any shard can read a history; presence is collected from all shards. */
export function channelMethods({
	namespaces,
	historyLimit,
	histories,
	log,
	ask,
}: ChannelMethodsParts): Readonly<Record<"presence" | "presence_stats" | "history" | "history_remove", ApiMethod>> {
	const channelOf = (call: ApiCall, problem: typeof historyError): Channel => {
		const channel = namespaces().of(call.check(requiredField(call.fields, "channel")));
		const error = problem(channel, backend);
		if (error !== null) throw new ApiError(error);
		return channel;
	};
	return {
		presence: async (call) => {
			const { name } = channelOf(call, presenceError);
			const clients = await ask(presenceQuestion, { channel: name });
			if (clients === null)
				throw new ApiError(ErrorCode.limitExceeded, "an answer has at most 32768 clients, or 16 MiB of them; ask for presence_stats");
			return resultOf("presence", { presence: presenceResult(clients) });
		},
		presence_stats: async (call) => {
			const { name } = channelOf(call, presenceError);
			const { clients, users } = await ask(presenceStatsQuestion, { channel: name });
			return JSON.stringify({ num_clients: clients, num_users: users });
		},
		history: async (call) => {
			const { fields } = call;
			const channel = channelOf(call, historyError);
			const { name } = channel;
			const { limit = 0 } = fields;
			if (typeof limit !== "number" || !Number.isSafeInteger(limit)) throw new FieldError("limit is not an integer");
			const reverse = flagField(fields, "reverse");
			const since = sinceField(fields, "since");
			if (reverse && since?.offset === 0) throw new FieldError("since.offset is 0: there is nothing before it");
			const history = await readHistory(histories, name, { limit, reverse, since }, historyLimit());
			if (history === null) throw new ApiError(ErrorCode.internal, notReadable(channel, histories.broker?.(name) != null));
			const { publications, position } = history;
			if (since !== null && since.epoch !== "" && since.epoch !== position.epoch) throw new ApiError(ErrorCode.unrecoverablePosition);
			return resultOf("history", {
				history: { publications: publications.map((one) => publicationFor(webSocketJson, one)), ...position },
			});
		},
		history_remove: async (call) => {
			const channel = channelOf(call, historyError);
			const { name, options } = channel;
			if (options.durable) throw new ApiError(ErrorCode.notAvailable, "the channel is durable: its subscribers acknowledge what is kept");
			const broker = histories.broker?.(name) ?? null;
			const removed =
				broker === null ? await inALaterTurn(() => log.removeHistory(name) || null, waitMsMax) : await broker.removeHistory(name);
			if (!removed) throw new ApiError(ErrorCode.internal, notReadable(channel, broker !== null));
			return "{}";
		},
	};
}

function notReadable({ options }: Channel, isElsewhere: boolean): string {
	if (!isElsewhere) return "the history is locked; try again";
	return `${options.durable ? "PostgreSQL" : "Redis"} is not reached, which keeps the history; try again`;
}

/** As the protocol writes it, payloads byte for byte. */
function resultOf(name: string, reply: Reply): JsonText {
	return jsonCodec.encodeReply(reply).subarray(`{"${name}":`.length, -1);
}

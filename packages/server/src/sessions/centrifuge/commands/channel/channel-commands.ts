import { isUtf8 } from "node:buffer";
import type { MessageDetails } from "@shardcast/bus";
import type { History } from "@shardcast/channel-log";
import { type Channel, historyError, type Namespaces, publishError } from "@shardcast/channels";
import { DisconnectCode, ErrorCode, type HistoryRequest, type PublishRequest } from "@shardcast/protocol";
import { channelList, type PublishResult, RecordKind } from "@shardcast/wire";
import type { Incoming } from "../../../../delivery/incoming/incoming.ts";
import type { HistoryReader } from "../../../../durable/history-reader.ts";
import type { Hook } from "../../../../hooks/hook.ts";
import type { Hooks } from "../../../../hooks/hooks.ts";
import type { CentrifugeSession } from "../../centrifuge-session.ts";
import { type HookCalls, withoutResult } from "../../hooks/hook-calls.ts";
import { ends, fails, type Outcome } from "../commands.ts";
import { publicationFor } from "../recovery/recovery.ts";
import { readHistory } from "./history-read.ts";

interface ChannelCommandsParts {
	readonly incoming: Pick<Incoming, "fromClient">;
	/** Read at each use, since a reload changes it. */
	readonly namespaces: Namespaces;
	readonly rules: {
		readonly insecure: boolean;
		/** The most publications in one history reply. */
		readonly historyLimit: number;
		/** False = clients may not publish, whatever the namespaces allow. */
		readonly clientsMayPublish: boolean;
		readonly payloadBytesMax: number;
	};
	readonly log: HistoryReader;
	/** Whether the client may send another message now. */
	readonly underRate: (session: CentrifugeSession) => boolean;
	readonly hooks: Pick<Hooks, "publish">;
	readonly calls: Pick<HookCalls, "ask">;
}

const badRequest = ends(DisconnectCode.badRequest);
const taken = { publish: {} } as const;

/** The commands `publish` and `history`. They rarely have to wait: for a backend, for message handlers, or for a locked log. */
export class ChannelCommands {
	readonly #parts: ChannelCommandsParts;

	constructor(parts: ChannelCommandsParts) {
		this.#parts = parts;
	}

	readonly publish = (session: CentrifugeSession, { channel: name, data }: PublishRequest): Outcome | Promise<Outcome> => {
		const { rules, underRate, hooks } = this.#parts;
		if (name === "") return badRequest;
		const channel = this.#parts.namespaces.of(name);
		if (data.length === 0 && !channel.mayBeEmpty) return badRequest;
		const refused = publishError(channel, { ...this.#requester(session, channel), backend: "asked" });
		if (refused !== null) return fails(refused);
		if (!rules.clientsMayPublish) return fails(ErrorCode.permissionDenied);
		if (data.length > rules.payloadBytesMax) return fails(ErrorCode.limitExceeded);
		if (!underRate(session)) return fails(ErrorCode.tooManyRequests);
		const hook = hooks.publish(channel.options);
		if (hook !== null) return this.#publishByHook(session, hook, channel, data);
		return this.#publishAsSent(session, channel, data);
	};

	#publishAsSent(session: CentrifugeSession, channel: Channel, data: Uint8Array): Outcome | Promise<Outcome> {
		const kind = !session.framing.codec.binary || isUtf8(data) ? RecordKind.text : RecordKind.binary;
		return this.#publish(session, channel, kind, data, session.publishDetails(channel.name));
	}

	async #publishByHook(session: CentrifugeSession, hook: Hook<"publish">, channel: Channel, data: Uint8Array): Promise<Outcome> {
		const { rules, calls } = this.#parts;
		const answer = await calls.ask(hook, session, { channel: channel.name, data });
		if (answer === "passed") {
			const refused = publishError(channel, { ...this.#requester(session, channel), backend: "failed" });
			return refused === null ? this.#publishAsSent(session, channel, data) : fails(refused);
		}
		if (typeof answer === "string" || !("result" in answer)) return withoutResult(answer);
		const { data: replaced, details } = answer.result;
		const payload = replaced ?? data;
		if (payload.length > rules.payloadBytesMax) return fails(ErrorCode.limitExceeded);
		const kind = isUtf8(payload) ? RecordKind.text : RecordKind.binary;
		return this.#publish(session, channel, kind, payload, { ...session.publishDetails(channel.name), ...details });
	}

	#publish(
		session: CentrifugeSession,
		{ name, options }: Channel,
		kind: RecordKind,
		data: Uint8Array,
		details: MessageDetails,
	): Outcome | Promise<Outcome> {
		// A subscriber that takes deltas needs every publication.
		const toSender = !options.excludePublisher || session.subscriptions.get(name)?.takesDeltas === true;
		const result = this.#parts.incoming.fromClient(session, kind, channelList([name]), data, details, toSender);
		return result instanceof Promise ? result.then(published) : published(result);
	}

	/** Returns all publications, including those this shard has not delivered to its clients yet. */
	readonly history = (session: CentrifugeSession, request: HistoryRequest): Outcome | Promise<Outcome> => {
		if (request.channel === "") return badRequest;
		const { namespaces, log, rules } = this.#parts;
		const channel = namespaces.of(request.channel);
		const refused = historyError(channel, this.#requester(session, channel));
		if (refused !== null) return fails(refused);
		const { since, reverse } = request;
		if (reverse && since?.offset === 0) return fails(ErrorCode.badRequest);
		const found = readHistory(log, channel.name, request, rules.historyLimit);
		const answer = (history: History | null): Outcome => {
			if (history === null) return fails(ErrorCode.internal);
			const { publications, position } = history;
			if (since !== null && since.epoch !== "" && since.epoch !== position.epoch) return fails(ErrorCode.unrecoverablePosition);
			return { history: { publications: publications.map((one) => publicationFor(session.framing, one)), ...position } };
		};
		return found instanceof Promise ? found.then(answer) : answer(found);
	};

	#requester({ user, subscriptions }: CentrifugeSession, { name }: Channel) {
		return { user, insecure: this.#parts.rules.insecure, subscribed: subscriptions.has(name) };
	}
}

function published(result: PublishResult): Outcome {
	switch (result.outcome) {
		case "accepted":
			return taken;
		case "full":
			// A full history is a problem of the server. In both cases the client may try again.
			return fails(result.reason === undefined ? ErrorCode.tooManyRequests : ErrorCode.internal);
		case "stopped":
			return fails(ErrorCode.permissionDenied);
		case "too_large":
			return fails(ErrorCode.limitExceeded);
		case "invalid":
			return fails(ErrorCode.badRequest);
		default:
			return fails(ErrorCode.internal);
	}
}

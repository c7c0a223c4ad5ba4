import { isUtf8 } from "node:buffer";
import type { ChannelLog, History } from "@shardcast/channel-log";
import { type Channel, grantedPositions, historyError, type Namespaces, publishError, subscribeError } from "@shardcast/channels";
import {
	DisconnectCode,
	ErrorCode,
	type HistoryRequest,
	type PublishRequest,
	SubscribeFlag,
	type SubscribeRequest,
	type UnsubscribeRequest,
} from "@shardcast/protocol";
import type { Counters } from "@shardcast/scoreboard";
import { channelList, type PublishResult, RecordKind } from "@shardcast/wire";
import type { Incoming } from "../../../delivery/incoming/incoming.ts";
import type { CentrifugeSession } from "../centrifuge-session.ts";
import { inALaterTurn } from "../timing/in-a-later-turn.ts";
import { ends, fails, type Outcome } from "./commands.ts";
import { publicationFor, type Recovery } from "./recovery.ts";

export interface ChannelCommandsParts {
	readonly incoming: Pick<Incoming, "fromClient">;
	/** Looked up at each use: they change with the settings. */
	readonly namespaces: Namespaces;
	readonly rules: {
		readonly insecure: boolean;
		readonly channelLimit: number;
		/** Most publications of one history reply. */
		readonly historyLimit: number;
		/** False = clients only receive, whatever the namespaces allow. */
		readonly clientsMayPublish: boolean;
		readonly payloadBytesMax: number;
	};
	readonly log: Pick<ChannelLog, "history" | "position">;
	readonly recovery: Recovery;
	readonly counters: Pick<Counters, "add">;
	/** Whether the client may publish one more now. */
	readonly underRate: (session: CentrifugeSession) => boolean;
}

/** How long a client may wait for this shard to come as far as it is, or for a paused process. */
const waitMsMax = 5000;
const gone = ends(DisconnectCode.connectionClosed);
const orInternal = (outcome: Outcome): Outcome => outcome ?? fails(ErrorCode.internal);
const badRequest = ends(DisconnectCode.badRequest);
const done = {
	unsubscribe: { unsubscribe: {} },
	publish: { publish: {} },
} as const;

/**
 * Commands about channels: subscribe, unsubscribe, publish, history. They seldom wait: for handlers of messages, for a log that is locked, or
 * for this shard to come as far as a client is that comes from another one.
 */
export class ChannelCommands {
	readonly #parts: ChannelCommandsParts;

	constructor(parts: ChannelCommandsParts) {
		this.#parts = parts;
	}

	readonly subscribe = (session: CentrifugeSession, request: SubscribeRequest): Outcome | Promise<Outcome> => {
		const { rules, namespaces } = this.#parts;
		if (request.channel === "") return badRequest;
		const channel = namespaces.of(request.channel);
		if (session.subscriptions.has(channel.name)) return fails(ErrorCode.alreadySubscribed);
		if (session.subscriptions.size >= rules.channelLimit) return fails(ErrorCode.limitExceeded);
		const asker = { user: session.user, insecure: rules.insecure };
		const refused = subscribeError(channel, { ...asker, hasToken: false });
		if (refused !== null) return fails(refused);
		const granted = grantedPositions(channel, asker, {
			positioned: request.positioned,
			recoverable: request.recoverable || request.recover,
		});
		if (granted.positioned) return this.#subscribeAtPosition(session, channel, request, granted.recoverable);
		session.subscribe(channel);
		return request.recover ? { subscribe: { wasRecovering: true } } : { subscribe: {} };
	};

	/** Of a channel that it is not subscribed to as well. */
	readonly unsubscribe = (session: CentrifugeSession, { channel }: UnsubscribeRequest): Outcome => {
		if (channel === "") return badRequest;
		session.unsubscribe(channel);
		return done.unsubscribe;
	};

	readonly publish = (session: CentrifugeSession, { channel: name, data }: PublishRequest): Outcome | Promise<Outcome> => {
		const { rules, underRate, incoming } = this.#parts;
		if (name === "" || data.length === 0) return badRequest;
		const channel = this.#parts.namespaces.of(name);
		const refused = publishError(channel, this.#asker(session, channel));
		if (refused !== null) return fails(refused);
		if (!rules.clientsMayPublish) return fails(ErrorCode.permissionDenied);
		if (data.length > rules.payloadBytesMax) return fails(ErrorCode.limitExceeded);
		if (!underRate(session)) return fails(ErrorCode.tooManyRequests);
		const kind = !session.framing.codec.binary || isUtf8(data) ? RecordKind.text : RecordKind.binary;
		const result = incoming.fromClient(session, kind, channelList([name]), data, session.publisherInfo);
		return result instanceof Promise ? result.then(published) : published(result);
	};

	/** What was missed is read, and the client is subscribed, in one step: everything else comes in later turns. */
	#subscribeAtPosition(
		session: CentrifugeSession,
		channel: Channel,
		request: SubscribeRequest,
		recoverable: boolean,
	): Outcome | Promise<Outcome> {
		const step = (): Outcome => {
			// It has gone while it waited.
			if (session.leaving !== 0 || session.place < 0) return gone;
			return this.#step(session, channel, request, recoverable);
		};
		const outcome = inALaterTurn(step, waitMsMax);
		return outcome instanceof Promise ? outcome.then(orInternal) : orInternal(outcome);
	}

	/** Null = not now. */
	#step(session: CentrifugeSession, channel: Channel, { recover, offset, epoch, flag }: SubscribeRequest, recoverable: boolean): Outcome {
		const { recovery, counters } = this.#parts;
		const { framing } = session;
		if (!recover || !recoverable) {
			const position = recovery.position(channel.name);
			if (position === null) return null;
			session.subscribe(channel);
			return { subscribe: { recoverable, positioned: true, wasRecovering: recover, ...position } };
		}
		const missed = recovery.recover(channel.name, { offset, epoch });
		if (missed === null) return null;
		const { recovered, position } = missed;
		counters.add(recovered ? "recoveries" : "recoveriesFailed", 1);
		if (!recovered && (flag & SubscribeFlag.rejectUnrecovered) !== 0) return fails(ErrorCode.unrecoverablePosition);
		session.subscribe(channel);
		const publications = missed.publications.map((publication) => publicationFor(framing, publication));
		counters.add("recoveredPublications", publications.length);
		const at = recovered ? { epoch: position.epoch, offset } : position;
		return { subscribe: { recoverable, positioned: true, wasRecovering: true, recovered, ...at, publications } };
	}

	/** What is published, also what this shard's clients have not been given yet. */
	readonly history = (session: CentrifugeSession, request: HistoryRequest): Outcome | Promise<Outcome> => {
		if (request.channel === "") return badRequest;
		const { namespaces, log, rules } = this.#parts;
		const channel = namespaces.of(request.channel);
		const refused = historyError(channel, this.#asker(session, channel));
		if (refused !== null) return fails(refused);
		const { since, reverse } = request;
		if (reverse && since?.offset === 0) return fails(ErrorCode.badRequest);
		const limit = request.limit < 0 ? rules.historyLimit : Math.min(request.limit, rules.historyLimit);
		const read = (): History | null => {
			if (since === null) return log.history(channel.name, { limit, reverse });
			const epoch = since.epoch || log.position(channel.name)?.epoch;
			return epoch === undefined ? null : log.history(channel.name, { limit, reverse, since: { offset: since.offset, epoch } });
		};
		const found = inALaterTurn(read, waitMsMax);
		const answer = (history: History | null): Outcome => {
			if (history === null) return fails(ErrorCode.internal);
			const { publications, position } = history;
			if (since !== null && since.epoch !== "" && since.epoch !== position.epoch) return fails(ErrorCode.unrecoverablePosition);
			return { history: { publications: publications.map((one) => publicationFor(session.framing, one)), ...position } };
		};
		return found instanceof Promise ? found.then(answer) : answer(found);
	};

	#asker({ user, subscriptions }: CentrifugeSession, { name }: Channel) {
		return { user, insecure: this.#parts.rules.insecure, subscribed: subscriptions.has(name) };
	}
}

function published({ outcome }: PublishResult): Outcome {
	switch (outcome) {
		case "taken":
			return done.publish;
		case "full":
			return fails(ErrorCode.tooManyRequests);
		case "stopped":
			return fails(ErrorCode.permissionDenied);
		default:
			return fails(ErrorCode.internal);
	}
}

import { isUtf8 } from "node:buffer";
import { type Channel, type Namespaces, publishError, subscribeError } from "@shardcast/channels";
import { DisconnectCode, ErrorCode, type PublishRequest, type SubscribeRequest, type UnsubscribeRequest } from "@shardcast/protocol";
import { channelList, type PublishResult, RecordKind } from "@shardcast/wire";
import type { Incoming } from "../../delivery/incoming.ts";
import type { CentrifugeSession } from "./centrifuge-session.ts";
import { ends, fails, type Outcome } from "./commands.ts";
import { Subscription } from "./subscription.ts";

export interface ChannelCommandsParts {
	readonly incoming: Pick<Incoming, "fromClient">;
	/** Looked up at each use: they change with the settings. */
	readonly namespaces: Namespaces;
	readonly rules: {
		readonly insecure: boolean;
		readonly channelLimit: number;
		/** False = clients only receive, whatever the namespaces allow. */
		readonly clientsMayPublish: boolean;
		readonly payloadBytesMax: number;
	};
	/** Whether the client may publish one more now. */
	readonly underRate: (session: CentrifugeSession) => boolean;
}

const badRequest = ends(DisconnectCode.badRequest);
const done = {
	unsubscribe: { unsubscribe: {} },
	publish: { publish: {} },
} as const;

/** Commands about channels: subscribe, unsubscribe, publish. Nothing in here waits, but for what handlers of messages make of a publish. */
export class ChannelCommands {
	readonly #parts: ChannelCommandsParts;

	constructor(parts: ChannelCommandsParts) {
		this.#parts = parts;
	}

	readonly subscribe = (session: CentrifugeSession, request: SubscribeRequest): Outcome => {
		const { rules } = this.#parts;
		if (request.channel === "") return badRequest;
		const channel = this.#parts.namespaces.of(request.channel);
		if (session.subscriptions.has(channel.name)) return fails(ErrorCode.alreadySubscribed);
		if (session.subscriptions.size >= rules.channelLimit) return fails(ErrorCode.limitExceeded);
		const refused = subscribeError(channel, { user: session.user, insecure: rules.insecure, hasToken: false });
		if (refused !== null) return fails(refused);
		session.subscribe(new Subscription(channel.name, session.framing));
		return { subscribe: {} };
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
		const result = incoming.fromClient(session, kind, channelList([name]), data);
		return result instanceof Promise ? result.then(published) : published(result);
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

import { type Channel, type Namespaces, presenceError } from "@shardcast/channels";
import { type Ask, type PresenceStats, type PresentClient, presenceQuestion, presenceStatsQuestion } from "@shardcast/control";
import { type ClientInfo, type Codec, DisconnectCode, ErrorCode, type PresenceRequest, type PresenceResult } from "@shardcast/protocol";
import type { CentrifugeSession } from "../../centrifuge-session.ts";
import { type EncodedReply, ends, fails, type Outcome } from "../commands.ts";
import { RecentAnswers } from "./recent-answers.ts";

interface PresenceCommandsParts {
	/** Read at each use. */
	readonly namespaces: () => Pick<Namespaces, "of">;
	readonly insecure: () => boolean;
	/** Asks all shards. */
	readonly ask: Ask;
}

/** The commands `presence` and `presence_stats`: who is subscribed, on all shards. They wait for the answers of the other shards. */
export class PresenceCommands {
	readonly #parts: PresenceCommandsParts;
	/** Null = too many clients for one reply. */
	readonly #presence = new RecentAnswers<PresenceAnswer | null>((answer) => answer === null || answer.count > manyClients);
	readonly #stats = new RecentAnswers<PresenceStats>(({ clients }) => clients > manyClients);

	constructor(parts: PresenceCommandsParts) {
		this.#parts = parts;
	}

	readonly presence = (session: CentrifugeSession, { channel }: PresenceRequest): Outcome | Promise<Outcome> => {
		const { ask } = this.#parts;
		const answer = () => ask(presenceQuestion, { channel }).then((clients) => (clients === null ? null : new PresenceAnswer(clients)));
		const outcome = async () => (await this.#presence.of(channel, answer))?.encodedBy(session.framing.codec) ?? tooMany;
		return this.#refused(session, channel) ?? orInternal(outcome);
	};

	readonly presenceStats = (session: CentrifugeSession, { channel }: PresenceRequest): Outcome | Promise<Outcome> => {
		const answer = () => this.#stats.of(channel, () => this.#parts.ask(presenceStatsQuestion, { channel }));
		return this.#refused(session, channel) ?? orInternal(() => answer().then(statsOf));
	};

	/** Must be called about once a second. */
	sweep(): void {
		this.#presence.sweep();
		this.#stats.sweep();
	}

	#refused(session: CentrifugeSession, name: string): Outcome {
		if (name === "") return ends(DisconnectCode.badRequest);
		const channel: Channel = this.#parts.namespaces().of(name);
		const { user, subscriptions } = session;
		const error = presenceError(channel, { user, insecure: this.#parts.insecure(), subscribed: subscriptions.has(name) });
		return error === null ? null : fails(error);
	}
}

/** An answer with more clients than this is cached for a moment. */
const manyClients = 100;
const tooMany = fails(ErrorCode.limitExceeded);

const statsOf = ({ clients, users }: PresenceStats): Outcome => ({
	presenceStats: { numClients: clients, numUsers: users },
});

/** The subscribers of a channel, encoded at most once in each encoding. */
class PresenceAnswer {
	readonly count: number;
	readonly #clients: readonly PresentClient[];
	readonly #replies = new Map<Codec, EncodedReply>();

	constructor(clients: readonly PresentClient[]) {
		this.count = clients.length;
		this.#clients = clients;
	}

	encodedBy(codec: Codec): EncodedReply {
		let reply = this.#replies.get(codec);
		if (reply === undefined) {
			reply = { encoded: codec.encodeReply({ presence: presenceResult(this.#clients) }) };
			this.#replies.set(codec, reply);
		}
		return reply;
	}
}

/** Internal error when a shard did not answer in time. */
function orInternal(outcome: () => Promise<Outcome>): Promise<Outcome> {
	return outcome().catch(() => fails(ErrorCode.internal));
}

export function presenceResult(clients: readonly PresentClient[]): PresenceResult {
	const infoOf = ({ client, user, info, channelInfo }: PresentClient): ClientInfo => ({
		client,
		user,
		...(info !== undefined && { connInfo: Buffer.from(info) }),
		...(channelInfo !== undefined && { chanInfo: Buffer.from(channelInfo) }),
	});
	return { presence: new Map(clients.map((present) => [present.client, infoOf(present)])) };
}

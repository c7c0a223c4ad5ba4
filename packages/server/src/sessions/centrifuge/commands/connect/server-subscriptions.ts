import { type Channel, grantedPositions, hearsJoins, type Namespaces, subscribeError } from "@shardcast/channels";
import { DisconnectCode, ErrorCode, type SubscribeRequest, type SubscribeResult } from "@shardcast/protocol";
import type { ConnectResult } from "../../../../hooks/hook-results.ts";
import type { Override } from "../../../../json/fields.ts";
import { SubscriptionTrait, traitsOf, wholeView } from "../../audience/subscription.ts";
import type { CentrifugeSession } from "../../centrifuge-session.ts";
import type { Framing } from "../../framing.ts";
import type { ConnectionClaims, GrantedSubscription } from "../../tokens/connection-token.ts";
import { ends, fails, type Outcome } from "../commands.ts";
import type { SubscribeResults } from "../subscribe/subscribe-results.ts";

export interface ServerSubscriptionsParts {
	/** Read at each use: they change when the configuration is reloaded. */
	readonly namespaces: () => Pick<Namespaces, "of">;
	readonly rules: {
		readonly insecure: boolean;
		readonly channelLimit: number;
		/** The channel that each user gets; null = none. */
		readonly personalChannel: (user: string) => string | null;
	};
	readonly results: SubscribeResults;
	/** See `KeptChannels`. */
	readonly waits: (channel: string) => Promise<void> | null;
}

/** A channel that the server subscribes a client to, which has not asked by a command. */
export interface ServerSubscription extends Pick<GrantedSubscription, "info" | "data"> {
	/** With what overrides its options. */
	readonly channel: Channel;
	/** Seconds since 1970; Infinity = never. */
	readonly expiresAt: number;
	/** Bits of `SubscriptionTrait`, besides `serverSide` and what the options say. */
	readonly traits: number;
}

/** From where a client goes on in the channels that it had. */
export type Asked = ReadonlyMap<string, Pick<SubscribeRequest, "recover" | "offset" | "epoch">>;

const plain = { info: null, data: null, expiresAt: Number.POSITIVE_INFINITY, traits: 0 };
const badRequest = ends(DisconnectCode.badRequest);
const nobody = { user: "", insecure: false };
/** Of publications in one connect reply. */
const recoveredBytesMax = 4 * 1024 * 1024;
const fresh = { recover: false, offset: 0, epoch: "", flag: 0 };

/** Subscriptions that begin with the connection, or by order of the backend, without a command of the client. */
export class ServerSubscriptions {
	readonly #parts: ServerSubscriptionsParts;

	constructor(parts: ServerSubscriptionsParts) {
		this.#parts = parts;
	}

	/**
	 * Those of a client that connects: what its token or a backend says, its user's own channel, and of the channels that it asks for those that it could
	 * subscribe to by itself. An outcome when the connection comes to nothing.
	 */
	of(claims: ConnectionClaims | ConnectResult | null, asked: Asked): ReadonlyMap<string, ServerSubscription> | NonNullable<Outcome> {
		const { rules, namespaces } = this.#parts;
		const user = claims?.user ?? "";
		const traits = claims === null || "data" in claims ? 0 : SubscriptionTrait.byConnectionToken;
		const found = new Map<string, ServerSubscription>();
		for (const [name, granted] of claims?.subscriptions ?? []) {
			const channel = namespaces().of(name);
			if (channel.error !== null) return fails(channel.error)!;
			const { info, data, override } = granted;
			found.set(name, { ...plain, channel: overridden(channel, override), info, data, traits });
		}
		const personal = user === "" ? null : rules.personalChannel(user);
		if (personal !== null && !found.has(personal)) {
			const channel = namespaces().of(personal);
			if (channel.error !== null) return fails(channel.error)!;
			found.set(personal, { ...plain, channel });
		}
		for (const name of asked.keys()) {
			if (found.has(name)) continue;
			const channel = namespaces().of(name);
			if (channel.error === ErrorCode.unknownChannel) return badRequest!;
			if (subscribeError(channel, { user, insecure: rules.insecure, hasToken: false }) === null) found.set(name, { ...plain, channel });
		}
		return found.size > rules.channelLimit ? ends(DisconnectCode.channelLimit)! : found;
	}

	/**
	 * What the client is told of each. Null = not now; see `SubscribeResults.of`. All of it is made in one step and sent in one message, so after
	 * 4 MiB of publications the other channels where it has missed something are not recovered.
	 */
	results(framing: Framing, wanted: Iterable<ServerSubscription>, asked: Asked): ReadonlyMap<string, SubscribeResult> | null {
		const found = new Map<string, SubscribeResult>();
		let bytes = 0;
		for (const { channel, data } of wanted) {
			// The rights of its user do not matter: only what the channel's options grant to all.
			const positions = grantedPositions(channel, nobody, { positioned: false, recoverable: false });
			const { recover, offset, epoch } = asked.get(channel.name) ?? fresh;
			const result = this.#parts.results.of(
				framing,
				channel.name,
				positions,
				{ recover, offset, epoch, flag: 0 },
				null,
				wholeView,
				bytes < recoveredBytesMax ? undefined : 0,
			);
			// Never a number: that is only for those who ask for an error by their flag.
			if (result === null || typeof result === "number") return null;
			for (const publication of result.publications ?? []) bytes += "data" in publication ? publication.data.length : 0;
			found.set(channel.name, data === null ? result : { ...result, data });
		}
		return found;
	}

	/** What the first of them waits for that is not ready; null = none, as far as anybody knows. */
	waits(wanted: Iterable<ServerSubscription>): Promise<void> | null {
		for (const { channel } of wanted) {
			const { positioned } = grantedPositions(channel, nobody, { positioned: false, recoverable: false });
			const waits = positioned ? this.#parts.waits(channel.name) : null;
			if (waits !== null) return waits;
		}
		return null;
	}

	/** In the same step as `results`. */
	subscribe(session: CentrifugeSession, wanted: Iterable<ServerSubscription>, results: ReadonlyMap<string, SubscribeResult>): void {
		for (const { channel, info, expiresAt, traits } of wanted) {
			const result = results.get(channel.name)!;
			this.#parts.results.given(result);
			const hears = hearsJoins(channel, nobody, false);
			const grant = info === null && expiresAt === Number.POSITIVE_INFINITY ? null : { info, expiresAt };
			session.subscribe(channel.name, SubscriptionTrait.serverSide | traitsOf(channel.options, hears, result) | traits, grant);
		}
	}
}

/** Whether a new token would subscribe its client to other channels than the one that it came with. */
export function hasOtherChannels(session: CentrifugeSession, { subscriptions }: ConnectionClaims): boolean {
	for (const name of subscriptions.keys()) if (!session.subscriptions.has(name)) return true;
	for (const { channel, isByConnectionToken } of session.subscriptions.values())
		if (isByConnectionToken && !subscriptions.has(channel)) return true;
	return false;
}

export function overridden(channel: Channel, override: Override): Channel {
	return { ...channel, options: { ...channel.options, ...override } };
}

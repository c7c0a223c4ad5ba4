import { type Channel, grantedPositions, type Namespaces, receivesJoins, subscribeError } from "@shardcast/channels";
import { DisconnectCode, ErrorCode, type SubscribeRequest, type SubscribeResult } from "@shardcast/protocol";
import type { ConnectResult } from "../../../../hooks/hook-results.ts";
import type { Override } from "../../../../json/fields.ts";
import { SubscriptionTrait, traitsOf, wholeView } from "../../audience/subscription.ts";
import type { CentrifugeSession } from "../../centrifuge-session.ts";
import type { Framing } from "../../framing.ts";
import type { ConnectionClaims, GrantedSubscription } from "../../tokens/connection-token.ts";
import { ends, fails, type Outcome } from "../commands.ts";
import type { SubscribeResults } from "../subscribe/subscribe-results.ts";

interface ServerSubscriptionsParts {
	/** Read at each use, since a reload changes it. */
	readonly namespaces: () => Pick<Namespaces, "of">;
	readonly rules: {
		readonly insecure: boolean;
		readonly channelLimit: number;
		/** The personal channel of a user; null = none. */
		readonly personalChannel: (user: string) => string | null;
	};
	readonly results: SubscribeResults;
	/** See `HistoryReader`. */
	readonly waits: (channel: string) => Promise<void> | null;
}

/** A channel that the server subscribes a client to without a command of the client. */
export interface ServerSubscription extends Pick<GrantedSubscription, "info" | "data"> {
	/** With its options after overrides. */
	readonly channel: Channel;
	/** Seconds since 1970; Infinity = never. */
	readonly expiresAt: number;
	/** Bits of `SubscriptionTrait`, besides `serverSide` and those that the options imply. */
	readonly traits: number;
}

/** For each channel that a client had, the position to recover from. */
export type Asked = ReadonlyMap<string, Pick<SubscribeRequest, "recover" | "offset" | "epoch">>;

const plain = { info: null, data: null, expiresAt: Number.POSITIVE_INFINITY, traits: 0 };
const badRequest = ends(DisconnectCode.badRequest);
const nobody = { user: "", insecure: false };
/** The most bytes of publications in one connect reply. */
const recoveredBytesMax = 4 * 1024 * 1024;
const fresh = { recover: false, offset: 0, epoch: "", flag: 0 };

/** Subscriptions that start with the connection, or when the backend asks for them, without a command of the client. */
export class ServerSubscriptions {
	readonly #parts: ServerSubscriptionsParts;

	constructor(parts: ServerSubscriptionsParts) {
		this.#parts = parts;
	}

	/**
	 * The server-side subscriptions of a client that connects: those of its token or a backend, its personal channel, and those of its requested
	 * channels that it may subscribe to itself. Returns an outcome when the connection fails.
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
	 * The subscribe result of each channel. Null = not available now; see `SubscribeResults.of`. All results are created in one step and sent in
	 * one message, so beyond 4 MiB of publications the remaining channels are not recovered.
	 */
	results(framing: Framing, wanted: Iterable<ServerSubscription>, asked: Asked): ReadonlyMap<string, SubscribeResult> | null {
		const found = new Map<string, SubscribeResult>();
		let bytes = 0;
		for (const { channel, data } of wanted) {
			// The permissions of the user are ignored: only what the channel's options grant to everybody counts.
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
			// Never an error code, which is only for clients that ask for errors by a flag.
			if (result === null || typeof result === "number") return null;
			for (const publication of result.publications ?? []) bytes += "data" in publication ? publication.data.length : 0;
			found.set(channel.name, data === null ? result : { ...result, data });
		}
		return found;
	}

	/** What the first unavailable channel waits for; null = none, as far as is known. */
	waits(wanted: Iterable<ServerSubscription>): Promise<void> | null {
		for (const { channel } of wanted) {
			const { positioned } = grantedPositions(channel, nobody, { positioned: false, recoverable: false });
			const waits = positioned ? this.#parts.waits(channel.name) : null;
			if (waits !== null) return waits;
		}
		return null;
	}

	/** Must be called in the same step as `results`. */
	subscribe(session: CentrifugeSession, wanted: Iterable<ServerSubscription>, results: ReadonlyMap<string, SubscribeResult>): void {
		for (const { channel, info, expiresAt, traits } of wanted) {
			const result = results.get(channel.name)!;
			this.#parts.results.given(result);
			const receives = receivesJoins(channel, nobody, false);
			const grant = info === null && expiresAt === Number.POSITIVE_INFINITY ? null : { info, expiresAt };
			session.subscribe(channel.name, SubscriptionTrait.serverSide | traitsOf(channel.options, receives, result) | traits, grant);
		}
	}
}

/** Whether the new token names other channels than the token that the client connected with. */
export function hasOtherChannels(session: CentrifugeSession, { subscriptions }: ConnectionClaims): boolean {
	for (const name of subscriptions.keys()) if (!session.subscriptions.has(name)) return true;
	for (const { channel, isByConnectionToken } of session.subscriptions.values())
		if (isByConnectionToken && !subscriptions.has(channel)) return true;
	return false;
}

export function overridden(channel: Channel, override: Override): Channel {
	return { ...channel, options: { ...channel.options, ...override } };
}

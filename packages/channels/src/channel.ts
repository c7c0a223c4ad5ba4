import type { ChannelOptions } from "@shardcast/config";
import type { ErrorCode } from "@shardcast/protocol";

/** The history limits of a channel, as a broker expects them. */
export interface ChannelHistory {
	readonly size: number;
	readonly ttlMs: number;
	readonly metaTtlMs: number;
	/** Every publication may go out as a delta. */
	readonly delta: boolean;
}

export interface PublicationRules {
	/** Infinity = only the server's limit applies. */
	readonly bytesMax: number;
	/** `any` includes an empty payload. */
	readonly format: "any" | "json" | "json_object";
}

/** What happens to publications for a client that reads too slowly. */
export interface SlowClientRule {
	readonly policy: "disconnect" | "drop-oldest" | "keep-latest";
	/** The tag whose value separates the publications of a channel under keep-latest; "" = the channel has a single state. */
	readonly keyTag: string;
}

/** What a channel's name stands for. Frozen; callers get the same object while it is cached. */
export interface Channel {
	readonly name: string;
	/** The namespace in the name, whether it exists or not; "" = none. */
	readonly namespace: string;
	/**
	 * Null = clients of the protocol may use the channel if they have permission. 102: there is no such namespace. 107: the name is invalid.
	 * Does not apply to raw clients and HTTP publishers: for them such a channel has no history and no rules.
	 */
	readonly error: ErrorCode | null;
	/** Everything is off if there is an error. */
	readonly options: ChannelOptions;
	/** Null = no history. */
	readonly history: ChannelHistory | null;
	/** Whether a client of the protocol may publish an empty payload: `binary`. */
	readonly mayBeEmpty: boolean;
	/** The rules for its publications, whoever the publisher is; null = none. */
	readonly publications: PublicationRules | null;
	/** `disconnect` if there is an error. */
	readonly slowClient: SlowClientRule;
	/** Subscribing always requires a subscription token. */
	readonly needsToken: boolean;
	/** A pattern instead of a channel: one of its segments is `*`. */
	readonly isPattern: boolean;
	/** Only these users may subscribe without a token; null = the channel is not limited to users. */
	readonly users: readonly string[] | null;
}

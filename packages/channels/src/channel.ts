import type { ChannelOptions } from "@shardcast/config";
import type { ErrorCode } from "@shardcast/protocol";

/** What a channel keeps, in the shape that a broker takes. */
export interface ChannelHistory {
	readonly size: number;
	readonly ttlMs: number;
	readonly metaTtlMs: number;
}

export interface PublicationRules {
	/** Infinity = no limit but the server's. */
	readonly bytesMax: number;
	/** `any`: also nothing at all. */
	readonly format: "any" | "json" | "json_object";
}

/** What a channel's name comes to. Frozen, and the same object for all who ask while it is remembered. */
export interface Channel {
	readonly name: string;
	/** The namespace as its name says it, whether there is one or not; "" = none. */
	readonly namespace: string;
	/**
	 * Null = a client of the protocol may use it, as far as its permissions go. 102: there is no such namespace. 107: no channel can have that
	 * name. Raw clients and publishers over HTTP are not held to it: for them such a channel has no history and no rules.
	 */
	readonly error: ErrorCode | null;
	/** With everything switched off if there is an error. */
	readonly options: ChannelOptions;
	/** Null = it keeps none. */
	readonly history: ChannelHistory | null;
	/** A client of the protocol may publish nothing: `binary`. */
	readonly mayBeEmpty: boolean;
	/** What its publications must be, whoever publishes; null = anything. */
	readonly publications: PublicationRules | null;
	/** To subscribe needs a subscription token, whoever asks. */
	readonly needsToken: boolean;
	/** Only these users may subscribe without a token; null = the channel is not limited to users. */
	readonly users: readonly string[] | null;
}

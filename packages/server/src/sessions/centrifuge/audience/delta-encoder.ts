import { quoteJson } from "@shardcast/protocol";
import type { DeliveredRecord } from "../../../delivery/delivered-record.ts";
import type { CentrifugeSession } from "../centrifuge-session.ts";
import type { Framing } from "../framing.ts";
import type { ChannelDelta } from "./channel-delta.ts";
import type { ChannelVariant } from "./channel-encoder.ts";
import type { Subscription } from "./subscription.ts";

/**
 * Encodes a channel's publications for subscribers that take deltas, in one encoding. Clients without the last publication form an audience that
 * gets whole publications; after the next one they join the others. For JSON clients, data is always a string.
 */
export class DeltaEncoder implements ChannelVariant {
	readonly isBinary: boolean;
	readonly channel: string;
	readonly framing: Framing;
	readonly delta: ChannelDelta;
	/** Clients that need a whole publication first; null = the clients of this audience have the last one. */
	readonly waiting: Map<Subscription, CentrifugeSession> | null;
	readonly #publications: ReturnType<Framing["publications"]>;
	/** Called when the waiting clients have received one. */
	readonly #ready: () => void;

	constructor(channel: string, framing: Framing, delta: ChannelDelta, ready: (() => void) | null) {
		this.isBinary = framing.codec.binary;
		this.channel = channel;
		this.framing = framing;
		this.delta = delta;
		this.waiting = ready === null ? null : new Map();
		this.#publications = framing.publications(channel);
		this.#ready = ready ?? (() => {});
	}

	encode(record: DeliveredRecord): Uint8Array {
		const { delta, isBinary } = this;
		delta.pass(record);
		let patch: Uint8Array | null = null;
		if (this.waiting === null) patch = isBinary ? delta.patch(record) : delta.jsonPatch(record);
		else this.#ready();
		const { offset, publisher: info, tags } = record;
		const data = isBinary ? (patch ?? record.payload) : quoteJson(patch ?? record.json);
		return this.framing.frame([this.#publications.encode({ data, offset, info, tags: tags ?? undefined, delta: patch !== null })]);
	}
}

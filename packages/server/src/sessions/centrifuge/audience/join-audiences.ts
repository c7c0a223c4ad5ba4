import { ChannelEntry, decodePublisherInfo, nextChannelEntry, type RecordHead, RecordType } from "@shardcast/wire";
import type { DeliveredRecord } from "../../../delivery/delivered-record.ts";
import { Audience, type AudienceProvider, type Encoder } from "../../../hub/audience.ts";
import type { Framing } from "../framing.ts";

/** Encodes joins and leaves of one channel as pushes, once for all subscribers with the same encoding and kind of transport. */
export class JoinEncoder implements Encoder {
	readonly isBinary: boolean;
	readonly channel: string;
	readonly framing: Framing;

	constructor(channel: string, framing: Framing) {
		this.isBinary = framing.codec.binary;
		this.channel = channel;
		this.framing = framing;
	}

	encode({ head, payload }: DeliveredRecord): Uint8Array {
		const { channel, framing } = this;
		const presence = { info: decodePublisherInfo(payload) };
		const push = head.type === RecordType.join ? { channel, join: presence } : { channel, leave: presence };
		return framing.frame([framing.encode({ push })]);
	}
}

/**
 * The subscribers of each channel that receive joins and leaves: one audience per channel and encoding. Not among the hub's providers, so
 * publications never pass through it.
 *
 * Owned by the shard's loop. Bounded by the number of subscriptions.
 */
export class JoinAudiences implements AudienceProvider {
	subscriptions = 0;
	readonly #byChannel = new Map<string, Audience[]>();
	#topics = 0;

	/** Number of channels with such subscribers. */
	get channelCount(): number {
		return this.#byChannel.size;
	}

	/** The audience of a channel in one encoding. If it is empty, the caller must subscribe a client at once. */
	of(channel: string, framing: Framing): Audience {
		let audiences = this.#byChannel.get(channel);
		if (audiences === undefined) {
			audiences = [];
			this.#byChannel.set(channel, audiences);
		}
		for (const audience of audiences) if ((audience.encoder as JoinEncoder).framing === framing) return audience;
		const audience = new Audience(`joins ${framing.name} ${++this.#topics}`, this, { encoder: new JoinEncoder(channel, framing) });
		audiences.push(audience);
		return audience;
	}

	emptied(audience: Audience): void {
		const { channel } = audience.encoder as JoinEncoder;
		const audiences = this.#byChannel.get(channel)!;
		audiences.splice(audiences.indexOf(audience), 1);
		if (audiences.length === 0) this.#byChannel.delete(channel);
	}

	/** Selects the audience of a join or leave. These records are rare, so it decodes the channel name. */
	select(u8: Uint8Array, _view: DataView, head: RecordHead, into: Audience[]): void {
		if (this.#byChannel.size === 0) return;
		let at = head.channelsStart;
		for (let index = 0; index < head.channelCount; index++) {
			const end = nextChannelEntry(u8, at);
			const channel = Buffer.from(u8.subarray(at + ChannelEntry.nameOffset, end)).toString();
			into.push(...(this.#byChannel.get(channel) ?? []));
			at = end;
		}
	}

	/** No message reaches these audiences. */
	reach(): number {
		return 0;
	}
}

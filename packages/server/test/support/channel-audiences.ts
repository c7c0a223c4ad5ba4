import { ChannelEntry, nextChannelEntry, type RecordHead } from "@shardcast/wire";
import { Audience, type AudienceProvider, type Encoder } from "../../src/hub/audience.ts";
import type { TopicTransport, Transport } from "../../src/transports/transport.ts";

/** How a protocol writes a message of a channel; null = its payload as it is. */
export interface Variant {
	readonly name: string;
	readonly isBinary: boolean;
	encode(channel: string, payload: Uint8Array): Uint8Array;
}

export interface ChannelSubscription {
	readonly channel: string;
	readonly variant: Variant;
}

interface ChannelAudience {
	readonly audience: Audience;
	readonly listed: Transport[];
}

/**
 * What sessions of a protocol need: an audience for each channel and variant, with a topic for clients on WebSockets and a list for all
 * others. Not fast: channels are looked up by their names.
 */
export class ChannelAudiences implements AudienceProvider<ChannelSubscription> {
	encoded = 0;
	readonly #byChannel = new Map<string, Map<string, ChannelAudience>>();

	get count(): number {
		return this.#byChannel.size;
	}

	subscribe(client: Transport, { channel, variant }: ChannelSubscription): void {
		let variants = this.#byChannel.get(channel);
		if (variants === undefined) {
			variants = new Map();
			this.#byChannel.set(channel, variants);
		}
		let entry = variants.get(variant.name);
		if (entry === undefined) {
			const listed: Transport[] = [];
			entry = { audience: new Audience(`${variant.name} ${channel}`, this.#encoder(channel, variant), listed), listed };
			variants.set(variant.name, entry);
		}
		if (!hasTopics(client)) entry.listed.push(client);
		else if (client.subscribe(entry.audience.topic)) entry.audience.size++;
	}

	unsubscribe(client: Transport, { channel, variant }: ChannelSubscription): void {
		const variants = this.#byChannel.get(channel);
		const entry = variants?.get(variant.name);
		if (variants === undefined || entry === undefined) return;
		const { audience, listed } = entry;
		if (!hasTopics(client)) listed.splice(listed.indexOf(client), 1);
		else if (client.unsubscribe(audience.topic)) audience.size--;
		if (audience.size + listed.length > 0) return;
		variants.delete(variant.name);
		if (variants.size === 0) this.#byChannel.delete(channel);
	}

	select(u8: Uint8Array, _view: DataView, head: RecordHead, into: Audience[]): void {
		let at = head.channelsStart;
		for (let index = 0; index < head.channelCount; index++) {
			const next = nextChannelEntry(u8, at);
			const name = Buffer.from(u8.subarray(at + ChannelEntry.nameOffset, next)).toString();
			for (const { audience } of this.#byChannel.get(name)?.values() ?? []) into.push(audience);
			at = next;
		}
	}

	reach(channel: string): number {
		let clients = 0;
		for (const { audience, listed } of this.#byChannel.get(channel)?.values() ?? []) clients += audience.size + listed.length;
		return clients;
	}

	#encoder(channel: string, variant: Variant): Encoder {
		return {
			isBinary: variant.isBinary,
			encode: ({ payload }) => {
				this.encoded++;
				return variant.encode(channel, payload);
			},
		};
	}
}

function hasTopics(client: Transport): client is TopicTransport {
	return "subscribe" in client;
}

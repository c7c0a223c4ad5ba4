import { isUtf8 } from "node:buffer";
import type { MessageDetails, MessageSink } from "@shardcast/bus";
import type { Namespaces, PublicationRules } from "@shardcast/channels";
import { type ChannelList, isJson, type Publishing, type PublishRefused, type RecordKind } from "@shardcast/wire";

/**
 * Refuses messages that break the rules of a channel's namespace, from clients, HTTP and the program. A message to several channels must obey the
 * rules of all of them.
 *
 * Costs a comparison while no namespace has such rules, otherwise a table look-up per channel, and with `json` a read of each byte.
 */
export class CheckedSink implements MessageSink {
	readonly #sink: MessageSink;
	readonly #namespaces: () => Namespaces;

	/** @param namespaces called for each message. */
	constructor(sink: MessageSink, namespaces: () => Namespaces) {
		this.#sink = sink;
		this.#namespaces = namespaces;
	}

	publish(kind: RecordKind, sender: number, channels: ChannelList, payload: Uint8Array, details?: MessageDetails): Publishing {
		return this.#refusal(channels, payload) ?? this.#sink.publish(kind, sender, channels, payload, details);
	}

	publishOrHold(kind: RecordKind, sender: number, channels: ChannelList, payload: Uint8Array, details?: MessageDetails): Publishing {
		return this.#refusal(channels, payload) ?? this.#sink.publishOrHold(kind, sender, channels, payload, details);
	}

	#refusal({ names }: ChannelList, payload: Uint8Array): PublishRefused | null {
		const namespaces = this.#namespaces();
		if (!namespaces.hasPublicationRules) return null;
		for (const name of names) {
			const { publications } = namespaces.of(name);
			const refusal = publications === null ? null : refusalOf(name, publications, payload);
			if (refusal !== null) return refusal;
		}
		return null;
	}
}

function refusalOf(name: string, { bytesMax, format }: PublicationRules, payload: Uint8Array): PublishRefused | null {
	if (payload.length > bytesMax)
		return {
			outcome: "too_large",
			detail: `the message is ${payload.length} bytes; in channel ${JSON.stringify(name)} the most is ${bytesMax}`,
		};
	if (format === "any" || (isUtf8(payload) && isJson(payload, format === "json_object"))) return null;
	const wanted = format === "json" ? "JSON" : "JSON objects";
	return { outcome: "invalid", detail: `channel ${JSON.stringify(name)} accepts only ${wanted}` };
}

import { type Codec, jsonCodec, type PublicationEncoder, protobufCodec, type Reply } from "@shardcast/protocol";

/** How messages of the server become frames: one encoding on one kind of transport. There is one object for each pair, so compare them by identity. */
export interface Framing {
	readonly name: string;
	readonly codec: Codec;
	/** Packs one or more encoded messages into one frame. */
	frame(messages: readonly Uint8Array[]): Uint8Array;
	encode(message: Reply): Uint8Array;
	/** Encodes the publications of one channel as messages. */
	publications(channel: string): PublicationEncoder;
	readonly ping: Uint8Array;
}

function webSocket(codec: Codec): Framing {
	return {
		name: codec.name,
		codec,
		frame: (messages) => codec.webSocketFrame(messages),
		encode: (message) => codec.encodeReply(message),
		publications: (channel) => codec.publications(channel),
		ping: codec.webSocketFrame([codec.ping]),
	};
}

export const webSocketJson = webSocket(jsonCodec);
export const webSocketProtobuf = webSocket(protobufCodec);

import { type Codec, jsonCodec, type Publication, protobufCodec, type Reply, sseFrame } from "@shardcast/protocol";

/** How messages of the server become frames: one encoding on one kind of transport. There is one object for each pair, so compare them by identity. */
export interface Framing {
	readonly name: string;
	readonly codec: Codec;
	/** The client only listens: it gets pushes without the reply around them, and answers no pings. */
	readonly isUni: boolean;
	/** Packs one or more encoded messages into one frame. */
	frame(messages: readonly Uint8Array[]): Uint8Array;
	encode(message: Reply): Uint8Array;
	/** Encodes the publications of one channel as messages. */
	publications(channel: string): { encode(publication: Publication): Uint8Array };
	readonly ping: Uint8Array;
}

type Frame = Framing["frame"];

/** For clients that also send. */
function framing(name: string, codec: Codec, frame: Frame): Framing {
	return {
		name,
		codec,
		isUni: false,
		frame,
		encode: (message) => codec.encodeReply(message),
		publications: (channel) => codec.publications(channel),
		ping: frame([codec.ping]),
	};
}

/** For clients that only listen. */
function uniFraming(name: string, codec: Codec, frame: Frame): Framing {
	return {
		name,
		codec,
		isUni: true,
		frame,
		encode: ({ push }) => codec.encodePush(push ?? {}),
		publications: (channel) => {
			const publications = codec.publications(channel);
			return { encode: (publication) => publications.encodeBare(publication) };
		},
		ping: frame([codec.encodePush({})]),
	};
}

export const webSocketJson = framing("json", jsonCodec, jsonCodec.webSocketFrame);
export const webSocketProtobuf = framing("protobuf", protobufCodec, protobufCodec.webSocketFrame);
export const streamJson = framing("stream-json", jsonCodec, jsonCodec.streamFrame);
export const streamProtobuf = framing("stream-protobuf", protobufCodec, protobufCodec.streamFrame);
export const sseJson = framing("sse", jsonCodec, sseFrame);
export const uniWebSocketJson = uniFraming("uni-json", jsonCodec, jsonCodec.webSocketFrame);
export const uniWebSocketProtobuf = uniFraming("uni-protobuf", protobufCodec, protobufCodec.webSocketFrame);
export const uniStreamJson = uniFraming("uni-stream-json", jsonCodec, jsonCodec.streamFrame);
export const uniStreamProtobuf = uniFraming("uni-stream-protobuf", protobufCodec, protobufCodec.streamFrame);
export const uniSseJson = uniFraming("uni-sse", jsonCodec, sseFrame);

import { type Codec, jsonCodec, type Publication, protobufCodec, type Reply, sseFrame } from "@shardcast/protocol";
import { asJson, RecordKind } from "@shardcast/wire";

/** How messages become frames: one encoding on one kind of transport. There is one object for each combination, so compare them by identity. */
export interface Framing {
	readonly name: string;
	/** Centrifugo's name for the transport, used by backends and in lists of connections. */
	readonly transport: TransportName;
	readonly codec: Codec;
	/** For unidirectional clients: they get pushes without the reply around them, and send no pongs. */
	readonly isUni: boolean;
	/** Packs one or more encoded messages into one frame. */
	frame(messages: readonly Uint8Array[]): Uint8Array;
	encode(message: Reply): Uint8Array;
	/** Encodes the publications of one channel as messages. */
	publications(channel: string): { encode(publication: Publication): Uint8Array };
	readonly ping: Uint8Array;
}

type TransportName = "websocket" | "http_stream" | "sse" | `uni_${"websocket" | "http_stream" | "sse"}`;
type Frame = Framing["frame"];

/** For bidirectional clients. */
function framing(name: string, transport: TransportName, codec: Codec, frame: Frame): Framing {
	return {
		name,
		transport,
		codec,
		isUni: false,
		frame,
		encode: (message) => codec.encodeReply(message),
		publications: (channel) => codec.publications(channel),
		ping: frame([codec.ping]),
	};
}

/** For unidirectional clients. */
function uniFraming(name: string, transport: TransportName, codec: Codec, frame: Frame): Framing {
	return {
		name,
		transport,
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

export const webSocketJson = framing("json", "websocket", jsonCodec, jsonCodec.webSocketFrame);
export const webSocketProtobuf = framing("protobuf", "websocket", protobufCodec, protobufCodec.webSocketFrame);
export const streamJson = framing("stream-json", "http_stream", jsonCodec, jsonCodec.streamFrame);
export const streamProtobuf = framing("stream-protobuf", "http_stream", protobufCodec, protobufCodec.streamFrame);
export const sseJson = framing("sse", "sse", jsonCodec, sseFrame);
export const uniWebSocketJson = uniFraming("uni-json", "uni_websocket", jsonCodec, jsonCodec.webSocketFrame);
export const uniWebSocketProtobuf = uniFraming("uni-protobuf", "uni_websocket", protobufCodec, protobufCodec.webSocketFrame);
export const uniStreamJson = uniFraming("uni-stream-json", "uni_http_stream", jsonCodec, jsonCodec.streamFrame);
export const uniStreamProtobuf = uniFraming("uni-stream-protobuf", "uni_http_stream", protobufCodec, protobufCodec.streamFrame);
export const uniSseJson = uniFraming("uni-sse", "uni_sse", jsonCodec, sseFrame);

/** The client's transport and protocol, by Centrifugo's names. */
export function transportOf({ transport, codec }: Framing): { readonly transport: TransportName; readonly protocol: "json" | "protobuf" } {
	return { transport, protocol: codec.binary ? "protobuf" : "json" };
}

/** Converts bytes to a payload of a reply: clients of the JSON protocol get JSON. */
export function payloadFor({ codec }: Framing, bytes: Uint8Array): Uint8Array {
	return codec.binary ? bytes : asJson(bytes, RecordKind.binary);
}

import { jsonStreamFrame, jsonWebSocketFrame, protobufFrame } from "./framing.ts";
import { decodeJsonCommands } from "./json/json-commands.ts";
import { encodeJsonMessage, releaseJsonMessage } from "./json/json-encoder.ts";
import { JsonPublications } from "./json/json-publications.ts";
import { encodeJsonPush, encodeJsonReply } from "./json/json-replies.ts";
import { decodeJsonConnect, decodeJsonEmulation } from "./json/json-requests.ts";
import type { DecodedFrame } from "./messages/command.ts";
import { type EmulationRequest, emulationRequest } from "./messages/emulation-request.ts";
import { type Publication, publication } from "./messages/publication.ts";
import { type Push, push } from "./messages/push.ts";
import { type Reply, reply } from "./messages/reply.ts";
import { type ConnectRequest, connectRequest } from "./messages/requests.ts";
import { decodeProtobufCommands } from "./protobuf/protobuf-commands.ts";
import { encodeProtobufMessage } from "./protobuf/protobuf-encoder.ts";
import { decodeProtobufMessage } from "./protobuf/protobuf-message.ts";
import { listedProtobufPublication, ProtobufPublications } from "./protobuf/protobuf-publications.ts";
import type { PublicationEncoder } from "./publication-encoder.ts";
import { jsonReplyWithId, protobufReplyWithId } from "./reply-with-id.ts";

/** One of the protocol's two encodings. The caller owns the bytes that an encoder returns. */
export interface Codec {
	readonly name: "json" | "protobuf";
	/** WebSocket frames are binary rather than text. */
	readonly binary: boolean;
	/** An encoded ping, the same for all clients. */
	readonly ping: Uint8Array;
	/** Never throws: errors are in the result. Payloads are views of the frame. */
	decodeCommands(frame: Uint8Array): DecodedFrame;
	/** The bare request of unidirectional clients. @throws ProtocolError */
	decodeConnect(body: Uint8Array): ConnectRequest;
	/** The body of `POST /emulation`. @throws ProtocolError */
	decodeEmulation(body: Uint8Array): EmulationRequest;
	/** A reply, or a push in its reply. */
	encodeReply(reply: Reply): Uint8Array;
	/**
	 * Adds the id of a command to a reply that was encoded without one, so that a large reply is encoded once for many clients. It must have a
	 * body.
	 */
	replyWithId(id: number, reply: Uint8Array): Uint8Array;
	/** A bare push, for unidirectional clients. */
	encodePush(push: Push): Uint8Array;
	/** Creates an encoder for the publications of one channel; keep it while the channel has subscribers. */
	publications(channel: string): PublicationEncoder;
	/** A publication as an element of a subscribe result's list; see EncodedPublications. */
	listedPublication(publication: Publication): Uint8Array;
	/** Packs encoded messages into one WebSocket frame; a single message is not copied. */
	webSocketFrame(messages: readonly Uint8Array[]): Uint8Array;
	/** Gives back the memory of a message or frame that is no longer used. Optional: without it, the memory is collected later. */
	release(encoded: Uint8Array): void;
	/** Encoded messages as part of an HTTP stream. */
	streamFrame(messages: readonly Uint8Array[]): Uint8Array;
}

export const jsonCodec: Codec = {
	name: "json",
	binary: false,
	ping: encodeJsonReply({}),
	decodeCommands: decodeJsonCommands,
	decodeConnect: decodeJsonConnect,
	decodeEmulation: decodeJsonEmulation,
	encodeReply: encodeJsonReply,
	replyWithId: jsonReplyWithId,
	encodePush: encodeJsonPush,
	publications: (channel) => new JsonPublications(channel),
	listedPublication: (pub) => encodeJsonMessage(publication, pub),
	release: releaseJsonMessage,
	webSocketFrame: jsonWebSocketFrame,
	streamFrame: jsonStreamFrame,
};

/** Protobuf: encoded messages carry their length on every transport; request bodies do not. */
export const protobufCodec: Codec = {
	name: "protobuf",
	binary: true,
	ping: encodeProtobufMessage(reply, {}),
	decodeCommands: decodeProtobufCommands,
	decodeConnect: (body) => decodeProtobufMessage(connectRequest, body),
	decodeEmulation: (body) => decodeProtobufMessage(emulationRequest, body),
	encodeReply: (message) => encodeProtobufMessage(reply, message),
	replyWithId: protobufReplyWithId,
	encodePush: (message) => encodeProtobufMessage(push, message),
	publications: (channel) => new ProtobufPublications(channel),
	listedPublication: listedProtobufPublication,
	release: () => {},
	webSocketFrame: protobufFrame,
	streamFrame: protobufFrame,
};

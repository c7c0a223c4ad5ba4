import { type Publication, publication } from "../messages/publication.ts";
import { push } from "../messages/push.ts";
import { reply } from "../messages/reply.ts";
import { hasMore, type PublicationEncoder } from "../publication-encoder.ts";
import { noBytes } from "../schema/message-type.ts";
import { encodeProtobufMessage } from "./protobuf-encoder.ts";

/** Computes the lengths first, then writes the bytes once, directly into the message. */
export class ProtobufPublications implements PublicationEncoder {
	readonly #channel: string;
	/** The push's field `channel`. */
	readonly #channelField: Uint8Array;

	constructor(channel: string) {
		this.#channel = channel;
		this.#channelField = withoutLength(encodeProtobufMessage(push, { channel }));
	}

	encode(pub: Publication): Uint8Array {
		if (pub.data.length === 0) return encodeProtobufMessage(reply, { push: { channel: this.#channel, pub } });
		return this.#assemble(pub, true);
	}

	encodeBare(pub: Publication): Uint8Array {
		if (pub.data.length === 0) return encodeProtobufMessage(push, { channel: this.#channel, pub });
		return this.#assemble(pub, false);
	}

	#assemble(pub: Publication, inReply: boolean): Uint8Array {
		const { data, offset = 0 } = pub;
		const rest = hasMore(pub) ? withoutLength(encodeProtobufMessage(publication, { ...pub, data: noBytes })) : null;
		const restLength = rest !== null ? rest.length : offset === 0 ? 0 : 1 + varintLength(offset);
		const pubLength = fieldLength(data.length) + restLength;
		const pushLength = this.#channelField.length + fieldLength(pubLength);
		const bodyLength = inReply ? fieldLength(pushLength) : pushLength;
		const message = Buffer.allocUnsafe(varintLength(bodyLength) + bodyLength);
		let at = writeVarint(message, 0, bodyLength);
		if (inReply) at = writeStart(message, at, pushInReply, pushLength);
		message.set(this.#channelField, at);
		at = writeStart(message, at + this.#channelField.length, pubInPush, pubLength);
		at = writeStart(message, at, dataInPub, data.length);
		message.set(data, at);
		at += data.length;
		if (rest !== null) message.set(rest, at);
		else if (offset !== 0) writeStart(message, at, offsetInPub, offset);
		return message;
	}
}

/** As an element of SubscribeResult.publications. */
export function listedProtobufPublication(pub: Publication): Uint8Array {
	const encoded = encodeProtobufMessage(publication, pub);
	const element = new Uint8Array(encoded.length + 1);
	element[0] = publicationInList;
	element.set(encoded, 1);
	return element;
}

/** Tags (number << 3 | wire type), each of one byte: Reply.push = 4, Push.pub = 4, Publication.data = 4, Publication.offset = 6, SubscribeResult.publications = 7. */
const publicationInList = 0x3a;
const pushInReply = 0x22;
const pubInPush = 0x22;
const dataInPub = 0x22;
const offsetInPub = 0x30;

/** Size of a field with a one-byte tag, a length and that many bytes. */
function fieldLength(length: number): number {
	return 1 + varintLength(length) + length;
}

function varintLength(value: number): number {
	let length = 1;
	for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) length++;
	return length;
}

/** Writes a tag and its varint; returns the offset after them. */
function writeStart(message: Uint8Array, at: number, tag: number, value: number): number {
	message[at] = tag;
	return writeVarint(message, at + 1, value);
}

function writeVarint(message: Uint8Array, start: number, value: number): number {
	let at = start;
	let rest = value;
	for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) message[at++] = (rest % 0x80) | 0x80;
	message[at++] = rest;
	return at;
}

function withoutLength(message: Uint8Array): Uint8Array {
	let at = 0;
	while (message[at++] >= 0x80);
	return message.subarray(at);
}

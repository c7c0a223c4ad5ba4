import { type Publication, publication } from "../messages/publication.ts";
import { hasMore, type PublicationEncoder } from "../publication-encoder.ts";
import { noBytes } from "../schema/message-type.ts";
import { encodeJsonMessage } from "./json-encoder.ts";
import { encodeJsonPush, encodeJsonReply } from "./json-replies.ts";
import { copyWithoutLineBreaks } from "./json-writer.ts";

export class JsonPublications implements PublicationEncoder {
	readonly #channel: string;
	readonly #start: Uint8Array;
	readonly #bareStart: Uint8Array;

	constructor(channel: string) {
		const bare = `{"channel":${JSON.stringify(channel)},"pub":{"data":`;
		this.#channel = channel;
		this.#start = Buffer.from(`{"push":${bare}`);
		this.#bareStart = Buffer.from(bare);
	}

	encode(pub: Publication): Uint8Array {
		if (pub.data.length === 0 || this.#channel === "") return encodeJsonReply({ push: { channel: this.#channel, pub } });
		return assemble(this.#start, pub, "}}}");
	}

	encodeBare(pub: Publication): Uint8Array {
		if (pub.data.length === 0 || this.#channel === "") return encodeJsonPush({ channel: this.#channel, pub });
		return assemble(this.#bareStart, pub, "}}");
	}
}

function assemble(start: Uint8Array, pub: Publication, closing: string): Uint8Array {
	const { data } = pub;
	if (hasMore(pub)) return joined(start, data, restOf(pub), closing.slice(1));
	const end = pub.offset ? `,"offset":${pub.offset}${closing}` : closing;
	const message = Buffer.allocUnsafe(start.length + data.length + end.length);
	message.set(start);
	const at = copyWithoutLineBreaks(data, message, start.length);
	return message.subarray(0, at + message.write(end, at, "latin1"));
}

/** The members after `data`, with the comma before them and the closing brace. */
function restOf(pub: Publication): Uint8Array {
	const rest = encodeJsonMessage(publication, { ...pub, data: noBytes });
	rest[0] = comma;
	return rest;
}

function joined(start: Uint8Array, data: Uint8Array, rest: Uint8Array, closing: string): Uint8Array {
	const message = Buffer.allocUnsafe(start.length + data.length + rest.length + closing.length);
	message.set(start);
	const at = copyWithoutLineBreaks(data, message, start.length);
	message.set(rest, at);
	return message.subarray(0, at + rest.length + message.write(closing, at + rest.length, "latin1"));
}

const comma = 0x2c;

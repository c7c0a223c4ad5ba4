import { Opcode } from "@shardcast/testkit";
import { channelName } from "../audience.ts";
import { centrifugePath } from "./centrifuge-path.ts";
import type { ClientProtocol, ServerEvents } from "./client-protocol.ts";
import { textPayload } from "./text-payload.ts";

/** Field numbers of the protocol's schema. */
const Command = { id: 1, connect: 4, subscribe: 5, publish: 7 } as const;
const Reply = { error: 2, push: 4, connect: 5, subscribe: 6, publish: 8 } as const;
const Push = { channel: 2, pub: 4 } as const;
const Publication = { data: 4 } as const;
const ErrorField = { code: 1, message: 2 } as const;
const WireType = { varint: 0, bytes: 2 } as const;

/** The Centrifuge protocol in Protobuf. Frames are read where they lie, without an allocation for a publication. */
export class CentrifugeProtobuf implements ClientProtocol {
	readonly payload = textPayload;
	readonly opcode = Opcode.binary;
	readonly headers = { "Sec-WebSocket-Protocol": "centrifuge-protobuf" };
	readonly pong = Buffer.from([0]);
	readonly path = centrifugePath;
	readonly #names = new Map<number, Buffer>();
	#id = 2;

	hello(channel: number): Buffer {
		const connect = command(1, Command.connect, Buffer.alloc(0));
		return Buffer.concat([connect, command(2, Command.subscribe, field(1, this.#nameOf(channel)))]);
	}

	publish(channel: number, payload: Buffer): Buffer {
		return command(++this.#id, Command.publish, Buffer.concat([field(1, this.#nameOf(channel)), field(2, payload)]));
	}

	read(bytes: Buffer, start: number, end: number, channel: number, events: ServerEvents): void {
		const reader = new Reader(bytes, start, end);
		while (reader.at < end) {
			const length = reader.varint();
			const messageEnd = reader.at + length;
			if (messageEnd > end) {
				events.garbage();
				return;
			}
			if (length === 0) events.ping();
			else this.#readReply(reader, messageEnd, channel, events);
			reader.at = messageEnd;
		}
	}

	#readReply(reader: Reader, end: number, channel: number, events: ServerEvents): void {
		let isKnown = false;
		while (reader.next(end)) {
			if (reader.field === Reply.error) {
				events.refused(readError(reader));
				return;
			}
			if (reader.field === Reply.push) {
				this.#readPush(reader, channel, events);
				return;
			}
			if (reader.field === Reply.subscribe) events.subscribed();
			isKnown ||= reader.field === Reply.subscribe || reader.field === Reply.connect || reader.field === Reply.publish;
			reader.at = reader.valueEnd;
		}
		if (!isKnown) events.garbage();
	}

	#readPush(reader: Reader, channel: number, events: ServerEvents): void {
		const end = reader.valueEnd;
		const name = this.#nameOf(channel);
		let isOurs = false;
		while (reader.next(end)) {
			if (reader.field === Push.channel)
				isOurs = reader.bytes.compare(name, 0, name.length, reader.at, Math.min(reader.valueEnd, end)) === 0;
			else if (reader.field === Push.pub && isOurs) {
				readPublication(reader, end, events);
				return;
			}
			reader.at = reader.valueEnd;
		}
		events.garbage();
	}

	#nameOf(channel: number): Buffer {
		let name = this.#names.get(channel);
		if (name === undefined) {
			name = Buffer.from(channelName(channel));
			this.#names.set(channel, name);
		}
		return name;
	}
}

function readPublication(reader: Reader, limit: number, events: ServerEvents): void {
	const end = Math.min(reader.valueEnd, limit);
	while (reader.next(end)) {
		if (reader.field === Publication.data && reader.valueEnd <= end) {
			events.publication(reader.at, reader.valueEnd);
			return;
		}
		reader.at = reader.valueEnd;
	}
	events.garbage();
}

function readError(reader: Reader): string {
	const end = reader.valueEnd;
	let [code, message] = [0, ""];
	while (reader.next(end)) {
		if (reader.field === ErrorField.code) code = reader.value;
		else if (reader.field === ErrorField.message) message = reader.bytes.toString("utf8", reader.at, reader.valueEnd);
		reader.at = reader.valueEnd;
	}
	return `${code} ${message}`;
}

/** Goes through the fields of messages that lie in one another. */
class Reader {
	readonly bytes: Buffer;
	readonly #end: number;
	at: number;
	/** Number of the field at `at`, its end, and its value if it is a number. */
	field = 0;
	valueEnd = 0;
	value = 0;

	constructor(bytes: Buffer, start: number, end: number) {
		this.bytes = bytes;
		this.at = start;
		this.#end = end;
	}

	/** Goes to the value of the next field before `end`; false = there is none. */
	next(end: number): boolean {
		if (this.at >= end) return false;
		const tag = this.varint();
		this.field = tag >>> 3;
		const number = this.varint();
		if ((tag & 7) === WireType.bytes) this.valueEnd = this.at + number;
		else {
			// Replies have numbers and bytes only; anything else ends the message.
			this.value = number;
			this.valueEnd = (tag & 7) === WireType.varint ? this.at : this.#end;
		}
		return true;
	}

	varint(): number {
		let value = 0;
		for (let factor = 1; this.at < this.#end; factor *= 0x80) {
			const byte = this.bytes[this.at++];
			value += (byte & 0x7f) * factor;
			if (byte < 0x80) break;
		}
		return value;
	}
}

function command(id: number, method: number, request: Buffer): Buffer {
	const body = Buffer.concat([Buffer.from([Command.id << 3]), varint(id), field(method, request)]);
	return Buffer.concat([varint(body.length), body]);
}

function field(number: number, value: Buffer): Buffer {
	return Buffer.concat([Buffer.from([(number << 3) | WireType.bytes]), varint(value.length), value]);
}

function varint(value: number): Buffer {
	const bytes: number[] = [];
	let rest = value;
	for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
	return Buffer.from([...bytes, rest]);
}

import { EncodedElements } from "../schema/encoded-elements.ts";
import type { MessageType, NamedField } from "../schema/message-type.ts";
import { isZero } from "../schema/zero.ts";
import { BinaryWriter, WireType } from "./wire.ts";

/** Encodes one length-prefixed message, as in Protobuf frames and streams. An empty message is the byte 0x00. */
export function encodeProtobufMessage<T extends object>(type: MessageType<T>, message: Partial<T>): Uint8Array {
	const used = writer;
	try {
		used.fork();
		writeMessage(used, type as unknown as MessageType<object>, message);
		const encoded = used.join().finish();
		// A large message must not hold its memory forever.
		if (encoded.length > keptSize) writer = new BinaryWriter();
		return encoded;
	} catch (error) {
		// The next message must not start with a part of this one.
		writer = new BinaryWriter();
		throw error;
	}
}

/** Reused for all messages, because JavaScript finishes one before the next. */
let writer = new BinaryWriter();
const keptSize = 1 << 20;

function writeMessage(to: BinaryWriter, type: MessageType<object>, message: object): void {
	for (const field of type.fields) {
		const value = (message as Readonly<Record<string, unknown>>)[field.key];
		if (isZero(value)) continue;
		if (field.shape === "single") writeField(to, field, field.number, value);
		else if (field.shape === "list") writeList(to, field, value as readonly unknown[]);
		else for (const [key, element] of value as ReadonlyMap<string, unknown>) writeEntry(to, field, key, element);
	}
}

function writeList(to: BinaryWriter, field: NamedField, list: readonly unknown[]): void {
	for (const element of list) {
		if (element instanceof EncodedElements) to.raw(element.bytes);
		else writeField(to, field, field.number, element);
	}
}

/** A map is a list of messages with the key as field 1 and the value as field 2. */
function writeEntry(to: BinaryWriter, field: NamedField, key: string, value: unknown): void {
	to.tag(field.number, WireType.LengthDelimited).fork();
	to.tag(1, WireType.LengthDelimited).string(key);
	writeField(to, field, 2, value);
	to.join();
}

function writeField(to: BinaryWriter, field: NamedField, number: number, value: unknown): void {
	switch (field.kind) {
		case "message":
			to.tag(number, WireType.LengthDelimited).fork();
			writeMessage(to, field.message!(), value as object);
			to.join();
			break;
		case "string":
			to.tag(number, WireType.LengthDelimited).string(value as string);
			break;
		case "bytes":
			to.tag(number, WireType.LengthDelimited).bytes(value as Uint8Array);
			break;
		case "bool":
			to.tag(number, WireType.Varint).bool(value as boolean);
			break;
		default:
			writeInteger(to.tag(number, WireType.Varint), value as number);
	}
}

/** Integer types differ only in their range. The library's 64-bit integers are slower. */
function writeInteger(to: BinaryWriter, value: number): void {
	if (value >= 0 && value <= 0xffff_ffff) to.uint32(value);
	else to.int64(value);
}

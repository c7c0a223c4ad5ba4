import { ProtocolError } from "../protocol-error.ts";
import { integerRange, nestingMax } from "../schema/limits.ts";
import type { MessageType, NamedField } from "../schema/message-type.ts";
import { BinaryReader, WireType } from "./wire.ts";

/**
 * Reads one Protobuf message from all of `bytes`. Unknown fields are skipped. The last of several equal fields wins, also for nested
 * messages. Payloads are views of `bytes`.
 * @throws ProtocolError
 */
export function decodeProtobufMessage<T extends object>(type: MessageType<T>, bytes: Uint8Array): T {
	return new ProtobufDecoder(bytes).whole(type);
}

/** Reads consecutive messages. Every method throws only ProtocolError. */
export class ProtobufDecoder {
	readonly #reader: BinaryReader;

	constructor(bytes: Uint8Array) {
		this.#reader = new BinaryReader(bytes);
	}

	get atEnd(): boolean {
		return this.#reader.pos >= this.#reader.len;
	}

	/** Reads one message up to the end. */
	whole<T extends object>(type: MessageType<T>): T {
		return this.#guarded(() => this.#message(type, this.#reader.len, 1));
	}

	/** Reads the next length-prefixed message. */
	delimited<T extends object>(type: MessageType<T>): T {
		return this.#guarded(() => this.#message(type, this.#end(this.#reader.len), 1));
	}

	/** Converts the library's plain errors. */
	#guarded<T>(read: () => T): T {
		try {
			return read();
		} catch (error) {
			if (error instanceof ProtocolError) throw error;
			throw new ProtocolError(`not Protobuf: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
		}
	}

	/** Reads a length and returns the end of what follows. */
	#end(limit: number): number {
		const length = this.#reader.uint32();
		const end = this.#reader.pos + length;
		if (end > limit) throw new ProtocolError("not Protobuf: a length is longer than what is left");
		return end;
	}

	#message<T extends object>(type: MessageType<T>, end: number, depth: number): T {
		if (depth > nestingMax) throw new ProtocolError(`messages are nested deeper than ${nestingMax}`);
		const message = type.empty() as Record<string, unknown>;
		this.#fields(end, (number, wireType) => {
			const field = type.byNumber[number];
			if (field === undefined) return false;
			expectWireType(field, wireType);
			if (field.shape === "single") message[field.key] = this.#value(field, end, depth);
			else if (field.shape === "list") message[field.key] = this.#grown(field, message[field.key] as unknown[], end, depth);
			else message[field.key] = this.#withEntry(field, message[field.key] as Map<string, unknown>, end, depth);
			return true;
		});
		return message as T;
	}

	/** Reads every field up to `end`; skips those that `read` does not handle. */
	#fields(end: number, read: (number: number, wireType: WireType) => boolean): void {
		const reader = this.#reader;
		while (reader.pos < end) {
			const [number, wireType] = reader.tag();
			if (!read(number, wireType)) reader.skip(wireType, number);
		}
		if (reader.pos !== end) throw new ProtocolError("not Protobuf: a field is longer than its message");
	}

	#grown(field: NamedField, list: unknown[], end: number, depth: number): unknown[] {
		const grown = list === field.zero ? [] : list;
		grown.push(this.#value(field, end, depth));
		return grown;
	}

	#withEntry(field: NamedField, map: Map<string, unknown>, limit: number, depth: number): Map<string, unknown> {
		const grown = map === field.zero ? new Map<string, unknown>() : map;
		const end = this.#end(limit);
		let key = "";
		let value: unknown = field.kind === "message" ? field.message!().empty() : "";
		this.#fields(end, (number, wireType) => {
			if (number > 2) return false;
			expectWireType(field, wireType);
			if (number === 1) key = this.#reader.string(true);
			else value = this.#value(field, end, depth);
			return true;
		});
		grown.set(key, value);
		return grown;
	}

	#value(field: NamedField, limit: number, depth: number): unknown {
		switch (field.kind) {
			case "message":
				return this.#message(field.message!(), this.#end(limit), depth + 1);
			case "string":
				return this.#reader.string(true);
			case "bytes":
				return this.#reader.bytes();
			case "bool":
				return this.#reader.bool();
			default:
				return this.#integer(field, field.kind);
		}
	}

	/** Reads all integers with 64 bits: one that does not fit is refused, not truncated. */
	#integer(field: NamedField, kind: keyof typeof integerRange): number {
		const value = Number(kind === "uint32" || kind === "uint64" ? this.#reader.uint64() : this.#reader.int64());
		const [least, most] = integerRange[kind];
		if (value < least || value > most) throw new ProtocolError(`${field.jsonName} must be an integer of ${least} to ${most}`);
		return value;
	}
}

function expectWireType(field: NamedField, wireType: WireType): void {
	const isVarint = field.shape === "single" && field.kind !== "string" && field.kind !== "bytes" && field.kind !== "message";
	if (wireType !== (isVarint ? WireType.Varint : WireType.LengthDelimited))
		throw new ProtocolError(`not Protobuf: ${field.jsonName} has wire type ${wireType}`);
}

import { Centrifuge } from "centrifuge/build/protobuf";
import type { MessageType, NamedField } from "../src/schema/message-type.ts";

/** The Protobuf codec of npm `centrifuge`: generated from the protocol's own description. */
interface ReferenceCodec {
	encodeCommands(commands: readonly object[]): Uint8Array;
	decodeCommands(frame: Uint8Array): object[];
	encodeReplies(replies: readonly object[]): Uint8Array;
	decodeReplies(frame: Uint8Array): object[];
	encodeEmulationRequest(request: object): Uint8Array;
}
const codec = (new Centrifuge("ws://127.0.0.1:1") as unknown as { _codec: ReferenceCodec })._codec;

/** It makes Buffers, which the tests could not compare with plain bytes. */
export const referenceCodec: ReferenceCodec = {
	encodeCommands: (commands) => new Uint8Array(codec.encodeCommands(commands)),
	decodeCommands: (frame) => codec.decodeCommands(frame),
	encodeReplies: (replies) => new Uint8Array(codec.encodeReplies(replies)),
	decodeReplies: (frame) => codec.decodeReplies(frame),
	encodeEmulationRequest: (request) => new Uint8Array(codec.encodeEmulationRequest(request)),
};

type Named = Readonly<Record<string, unknown>>;

/** A message of ours as the reference codec takes it. Fields at zero are left out. */
export function toReference(type: MessageType<object>, message: object): object {
	const entries = type.fields
		.map((field) => [field, (message as Named)[field.key]] as const)
		.filter(([field, value]) => value !== field.zero)
		.map(([field, value]) => [field.jsonName, eachOf(field, value, (element) => fieldTo(field, element), Object.fromEntries)] as const);
	return Object.fromEntries(entries);
}

function fieldTo(field: NamedField, value: unknown): unknown {
	return field.kind === "message" ? toReference(field.message!(), value as object) : value;
}

/** What the reference codec has decoded, as our decoders show it. */
export function fromReference(type: MessageType<object>, message: object): object {
	const named = message as Named;
	return Object.fromEntries(
		type.fields.map((field) => {
			const value = named[field.jsonName];
			if (value === undefined || value === null) return [field.key, field.zero];
			return [
				field.key,
				eachOf(
					field,
					value,
					(element) => fieldFrom(field, element),
					(entries) => new Map(entries),
				),
			];
		}),
	);
}

function fieldFrom(field: NamedField, value: unknown): unknown {
	if (field.kind === "message") return fromReference(field.message!(), value as object);
	if (field.kind === "bytes") return new Uint8Array(value as Uint8Array);
	// 64-bit integers are objects there.
	return typeof value === "object" ? (value as { toNumber(): number }).toNumber() : value;
}

function eachOf(
	field: NamedField,
	value: unknown,
	convert: (element: unknown) => unknown,
	map: (entries: [string, unknown][]) => unknown,
): unknown {
	if (field.shape === "single") return convert(value);
	if (field.shape === "list") return (value as readonly unknown[]).map(convert);
	const entries = value instanceof Map ? [...value] : Object.entries(value as object);
	return map(entries.map(([key, element]) => [key as string, convert(element)]));
}

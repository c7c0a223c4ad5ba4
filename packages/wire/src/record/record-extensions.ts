import { BusRecord, Extension } from "./record-descriptor.ts";
import type { RecordHead } from "./record-head.ts";

/** Optional parts of a record, besides head and payload. */
export interface RecordExtensions {
	/** Position of a publication in its channel's history. */
	readonly offset?: number;
	readonly epoch?: string;
	readonly tags?: Readonly<Record<string, string>> | undefined;
	/** The publisher. Opaque here. After reading, it is a view of the record. */
	readonly info?: Uint8Array | undefined;
	/** Trace context. Opaque here. After reading, it is a view of the record. */
	readonly trace?: Uint8Array | undefined;
	/** Milliseconds in Kafka. */
	readonly queuedMs?: number | undefined;
}

export const noExtensions = new Uint8Array(0);

const { types } = Extension;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** Encodes the extension part of a record. @throws RangeError for an invalid offset, or if they are too long for a record. */
export function encodeExtensions({ offset, epoch, tags, info, trace, queuedMs }: RecordExtensions): Uint8Array {
	const values: [type: number, value: Uint8Array][] = [];
	if (offset !== undefined) {
		if (!isOffset(offset)) throw new RangeError(`offset ${offset} is not a whole number from 0`);
		values.push([types.offset, new Uint8Array(Float64Array.of(offset).buffer)]);
	}
	if (epoch !== undefined) values.push([types.epoch, encoder.encode(epoch)]);
	if (tags !== undefined) values.push([types.tags, encoder.encode(JSON.stringify(tags))]);
	if (info !== undefined) values.push([types.info, info]);
	if (trace !== undefined) values.push([types.trace, trace]);
	if (queuedMs !== undefined) values.push([types.queued, new Uint8Array(Float64Array.of(queuedMs).buffer)]);
	const length = values.reduce((sum, [, value]) => sum + Extension.valueOffset + value.length, 0);
	if (length > BusRecord.extensionBytesMax)
		throw new RangeError(`${length} bytes of extensions; the most is ${BusRecord.extensionBytesMax}`);
	const bytes = new Uint8Array(length);
	const view = new DataView(bytes.buffer);
	let at = 0;
	for (const [type, value] of values) {
		bytes[at + Extension.typeOffset] = type;
		view.setUint16(at + Extension.lengthOffset, value.length, true);
		bytes.set(value, at + Extension.valueOffset);
		at += Extension.valueOffset + value.length;
	}
	return bytes;
}

/**
 * Decodes the extensions of a record whose head has been read. Skips unknown types. It allocates, so do not call it for every record.
 * @throws RangeError when the lengths do not add up, or a value is invalid for its type.
 */
export function readExtensions(u8: Uint8Array, view: DataView, { extensionsStart, payloadStart }: RecordHead): RecordExtensions {
	const found: { -readonly [Key in keyof RecordExtensions]: RecordExtensions[Key] } = {};
	let at = extensionsStart;
	while (at < payloadStart) {
		const value = at + Extension.valueOffset;
		const end = value <= payloadStart ? value + view.getUint16(at + Extension.lengthOffset, true) : payloadStart + 1;
		if (end > payloadStart) throw new RangeError("an extension exceeds the extension part of its record");
		switch (view.getUint8(at + Extension.typeOffset)) {
			case types.offset:
				found.offset = offsetAt(view, value, end);
				break;
			case types.epoch:
				found.epoch = textOf(u8, value, end);
				break;
			case types.info:
				found.info = u8.subarray(value, end);
				break;
			case types.tags:
				found.tags = tagsOf(textOf(u8, value, end));
				break;
			case types.trace:
				found.trace = u8.subarray(value, end);
				break;
			case types.queued:
				if (end - value === 8) found.queuedMs = view.getFloat64(value, true);
				break;
		}
		at = end;
	}
	return found;
}

/**
 * Where the value of the first extension of this type begins in a record whose head has been read; -1 = it has none. No allocation. Stops at
 * lengths that do not add up.
 */
export function extensionAt(view: DataView, { extensionsStart, payloadStart }: RecordHead, type: number): number {
	let at = extensionsStart;
	while (at + Extension.valueOffset <= payloadStart) {
		const value = at + Extension.valueOffset;
		const end = extensionEnd(view, value);
		if (end > payloadStart) return -1;
		if (view.getUint8(at + Extension.typeOffset) === type) return value;
		at = end;
	}
	return -1;
}

/** Where an extension ends whose value begins at `value`. */
export function extensionEnd(view: DataView, value: number): number {
	return value + view.getUint16(value - Extension.valueOffset + Extension.lengthOffset, true);
}

const isOffset = (offset: number): boolean => Number.isSafeInteger(offset) && offset >= 0;

function offsetAt(view: DataView, start: number, end: number): number {
	const offset = end - start === 8 ? view.getFloat64(start, true) : -1;
	if (!isOffset(offset)) throw new RangeError("the offset of a record is not a whole number");
	return offset;
}

function textOf(u8: Uint8Array, start: number, end: number): string {
	try {
		// A copy: TextDecoder does not accept shared memory.
		return decoder.decode(new Uint8Array(u8.subarray(start, end)));
	} catch {
		throw new RangeError("an extension of a record is not UTF-8");
	}
}

function tagsOf(text: string): Readonly<Record<string, string>> {
	try {
		const tags = JSON.parse(text) as unknown;
		const isObject = typeof tags === "object" && tags !== null && !Array.isArray(tags);
		if (isObject && Object.values(tags).every((value) => typeof value === "string")) return tags as Record<string, string>;
	} catch {
		// As below.
	}
	throw new RangeError("the tags of a record are not a JSON object of strings");
}

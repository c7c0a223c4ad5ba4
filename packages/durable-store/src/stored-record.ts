import type { RecordKind } from "@shardcast/wire";

/** A stored publication. */
export interface StoredPublication {
	readonly offset: number;
	readonly kind: RecordKind;
	readonly data: Uint8Array;
	/** The publisher. Opaque to the store. */
	readonly info?: Uint8Array;
	readonly tags?: Readonly<Record<string, string>>;
	/** The connection that must not get it back; both 0 = none. */
	readonly senderId: number;
	readonly senderLife: number;
}

const head = { kind: 0, senderId: 1, senderLife: 5, infoBytes: 9, tagsBytes: 13, bytes: 17 } as const;

/** Fixed fields in little-endian, then info, tags as JSON, and data. */
export function encodeRecord({ kind, data, info, tags, senderId, senderLife }: Omit<StoredPublication, "offset">): Buffer {
	const tagsJson = tags === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify(tags));
	const infoBytes = info?.length ?? 0;
	const record = Buffer.alloc(head.bytes + infoBytes + tagsJson.length + data.length);
	record[head.kind] = kind;
	record.writeUInt32LE(senderId >>> 0, head.senderId);
	record.writeUInt32LE(senderLife >>> 0, head.senderLife);
	record.writeUInt32LE(infoBytes, head.infoBytes);
	record.writeUInt32LE(tagsJson.length, head.tagsBytes);
	if (info !== undefined) record.set(info, head.bytes);
	record.set(tagsJson, head.bytes + infoBytes);
	record.set(data, head.bytes + infoBytes + tagsJson.length);
	return record;
}

/** Decodes a copy. @throws RangeError when a length exceeds the record. */
export function decodeRecord(offset: number, stored: Uint8Array): StoredPublication {
	const record = Buffer.from(new Uint8Array(stored).buffer);
	const infoEnd = head.bytes + record.readUInt32LE(head.infoBytes);
	const tagsEnd = infoEnd + record.readUInt32LE(head.tagsBytes);
	if (tagsEnd > record.length) throw new RangeError("a part exceeds the stored record");
	return {
		offset,
		kind: record[head.kind] as RecordKind,
		data: record.subarray(tagsEnd),
		...(infoEnd > head.bytes && { info: record.subarray(head.bytes, infoEnd) }),
		...(tagsEnd > infoEnd && { tags: JSON.parse(record.toString("utf8", infoEnd, tagsEnd)) as Record<string, string> }),
		senderId: record.readUInt32LE(head.senderId),
		senderLife: record.readUInt32LE(head.senderLife),
	};
}

import { isUtf8 } from "node:buffer";
import { isJson } from "../json/json-reader.ts";

/** The client that published a message, as shown to subscribers. */
export interface PublisherInfo {
	/** "" = anonymous. */
	readonly user: string;
	readonly client: string;
	/** Info from its token, as JSON; absent = none. */
	readonly connInfo?: Uint8Array;
	/** Info from its subscription token, as JSON; absent = none. */
	readonly chanInfo?: Uint8Array;
}

const lengthBytes = 2;
const empty = new Uint8Array(0);

/** Encodes it for records: user, client and connection info, each after its length (u16, little-endian), then the channel info. */
export function encodePublisherInfo({ user, client, connInfo = empty, chanInfo = empty }: PublisherInfo): Uint8Array {
	const parts = [Buffer.from(user), Buffer.from(client), connInfo].flatMap((part) => {
		const length = Buffer.alloc(lengthBytes);
		length.writeUInt16LE(part.length);
		return [length, part];
	});
	return new Uint8Array(Buffer.concat([...parts, chanInfo]));
}

/** @throws RangeError when a length exceeds the info. */
export function decodePublisherInfo(info: Uint8Array): PublisherInfo {
	const bytes = Buffer.from(info.buffer, info.byteOffset, info.length);
	const userEnd = lengthBytes + bytes.readUInt16LE(0);
	const clientEnd = userEnd + lengthBytes + bytes.readUInt16LE(userEnd);
	const connInfoEnd = clientEnd + lengthBytes + bytes.readUInt16LE(clientEnd);
	if (connInfoEnd > bytes.length) throw new RangeError("a part exceeds the publisher info");
	return {
		user: bytes.toString("utf8", lengthBytes, userEnd),
		client: bytes.toString("utf8", userEnd + lengthBytes, clientEnd),
		...(connInfoEnd > clientEnd + lengthBytes && { connInfo: info.subarray(clientEnd + lengthBytes, connInfoEnd) }),
		...(bytes.length > connInfoEnd && { chanInfo: info.subarray(connInfoEnd) }),
	};
}

/** Whether clients can be shown this info: its lengths fit, and its parts are text and JSON. For records that come from another machine. */
export function isPublisherInfo(info: Uint8Array): boolean {
	try {
		const { connInfo, chanInfo } = decodePublisherInfo(info);
		return [connInfo, chanInfo].every((part) => part === undefined || (isUtf8(part) && isJson(part)));
	} catch (error) {
		if (error instanceof RangeError) return false;
		throw error;
	}
}

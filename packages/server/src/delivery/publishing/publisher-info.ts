/** The client that published something, as its channel's subscribers see it. */
export interface PublisherInfo {
	/** "" = nobody in particular. */
	readonly user: string;
	readonly client: string;
	/** What its token says about it, as JSON; absent = nothing. */
	readonly connInfo?: Uint8Array;
	/** What its subscription token says about it, as JSON; absent = nothing. */
	readonly chanInfo?: Uint8Array;
}

const lengthBytes = 2;
const empty = new Uint8Array(0);

/**
 * As records carry it: user, client and what the connection token says, each behind its length (u16, little-endian), then what the
 * subscription token says.
 */
export function encodePublisherInfo({ user, client, connInfo = empty, chanInfo = empty }: PublisherInfo): Uint8Array {
	const parts = [Buffer.from(user), Buffer.from(client), connInfo].flatMap((part) => {
		const length = Buffer.alloc(lengthBytes);
		length.writeUInt16LE(part.length);
		return [length, part];
	});
	return new Uint8Array(Buffer.concat([...parts, chanInfo]));
}

/** @throws RangeError when a length in it is longer than what is there. */
export function decodePublisherInfo(info: Uint8Array): PublisherInfo {
	const bytes = Buffer.from(info.buffer, info.byteOffset, info.length);
	const userEnd = lengthBytes + bytes.readUInt16LE(0);
	const clientEnd = userEnd + lengthBytes + bytes.readUInt16LE(userEnd);
	const connInfoEnd = clientEnd + lengthBytes + bytes.readUInt16LE(clientEnd);
	if (connInfoEnd > bytes.length) throw new RangeError("a part is longer than the info that it lies in");
	return {
		user: bytes.toString("utf8", lengthBytes, userEnd),
		client: bytes.toString("utf8", userEnd + lengthBytes, clientEnd),
		...(connInfoEnd > clientEnd + lengthBytes && { connInfo: info.subarray(clientEnd + lengthBytes, connInfoEnd) }),
		...(bytes.length > connInfoEnd && { chanInfo: info.subarray(connInfoEnd) }),
	};
}

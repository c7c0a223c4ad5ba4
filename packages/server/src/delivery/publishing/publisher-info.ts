/** The client that published something, as its channel's subscribers see it. */
export interface PublisherInfo {
	/** "" = nobody in particular. */
	readonly user: string;
	readonly client: string;
	/** What its token says about it, as JSON; absent = nothing. */
	readonly connInfo?: Uint8Array;
}

const lengthBytes = 2;

/** As records carry it: user and client, each behind its length (u16, little-endian), then what the token says. */
export function encodePublisherInfo({ user, client, connInfo }: PublisherInfo): Uint8Array {
	const names = [user, client].map((name) => Buffer.from(name));
	const lengths = names.map(({ length }) => {
		const bytes = Buffer.alloc(lengthBytes);
		bytes.writeUInt16LE(length);
		return bytes;
	});
	return new Uint8Array(Buffer.concat([lengths[0]!, names[0]!, lengths[1]!, names[1]!, connInfo ?? new Uint8Array(0)]));
}

/** @throws RangeError when a length in it is longer than what is there. */
export function decodePublisherInfo(info: Uint8Array): PublisherInfo {
	const bytes = Buffer.from(info.buffer, info.byteOffset, info.length);
	const userEnd = lengthBytes + bytes.readUInt16LE(0);
	const clientEnd = userEnd + lengthBytes + bytes.readUInt16LE(userEnd);
	if (clientEnd > bytes.length) throw new RangeError("a name is longer than the info that it lies in");
	return {
		user: bytes.toString("utf8", lengthBytes, userEnd),
		client: bytes.toString("utf8", userEnd + lengthBytes, clientEnd),
		...(clientEnd < bytes.length ? { connInfo: info.subarray(clientEnd) } : {}),
	};
}

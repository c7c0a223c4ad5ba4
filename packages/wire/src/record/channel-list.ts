import { channelHash } from "./channel-hash.ts";
import { BusRecord, ChannelEntry } from "./record-descriptor.ts";

const encoder = new TextEncoder();

/** The channel part of a record, encoded once per client or request and then only copied. */
export interface ChannelList {
	readonly count: number;
	readonly bytes: Uint8Array;
	readonly names: readonly string[];
}

export const everybody: ChannelList = { count: 0, bytes: new Uint8Array(0), names: [] };

/** @throws RangeError that names the channel when a name is empty or longer than 255 bytes, or there are more than 32. */
export function channelList(names: readonly string[]): ChannelList {
	if (names.length === 0) return everybody;
	const unique = [...new Set(names)];
	if (unique.length > BusRecord.channelsMax) throw new RangeError(`${unique.length} channels; the most is ${BusRecord.channelsMax}`);
	const encoded = unique.map((name) => {
		const bytes = encoder.encode(name);
		if (bytes.length === 0) throw new RangeError("a channel name is empty");
		if (bytes.length > BusRecord.channelNameBytesMax)
			throw new RangeError(`channel "${name.slice(0, 40)}…" is ${bytes.length} bytes; the most is ${BusRecord.channelNameBytesMax}`);
		return bytes;
	});
	const bytes = new Uint8Array(encoded.reduce((sum, name) => sum + ChannelEntry.nameOffset + name.length, 0));
	const view = new DataView(bytes.buffer);
	let at = 0;
	for (const name of encoded) {
		view.setUint32(at + ChannelEntry.hashOffset, channelHash(name), true);
		bytes[at + ChannelEntry.lengthOffset] = name.length;
		bytes.set(name, at + ChannelEntry.nameOffset);
		at += ChannelEntry.nameOffset + name.length;
	}
	return { count: unique.length, bytes, names: unique };
}

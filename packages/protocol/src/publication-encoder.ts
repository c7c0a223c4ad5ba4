import type { Publication } from "./messages/publication.ts";

/**
 * Encodes the publications of one channel: what the fan-out path does once per channel, encoding and shard, however many subscribers there
 * are. What is the same for each is prepared once, and a publication with nothing but data and offset is put together without the tables:
 * for 200 bytes 0.45 µs against 2.6 µs (JSON), 0.16 against 2.0 (Protobuf). Others take one more pass for what they have besides.
 */
export interface PublicationEncoder {
	/** As a push in its reply, like `encodeReply({ push: { channel, pub } })`. */
	encode(publication: Publication): Uint8Array;
	/** As a bare push for unidirectional clients, like `encodePush({ channel, pub })`. */
	encodeBare(publication: Publication): Uint8Array;
}

/** Whether a publication has anything but its data and its offset. */
export function hasMore({ info, tags, delta, time, channel }: Publication): boolean {
	return Boolean(info || delta || time || channel) || (tags !== undefined && tags.size > 0);
}

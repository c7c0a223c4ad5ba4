/** A publication as received through pub/sub. */
export interface Announcement {
	/** Negative: not a publication, the history was removed. */
	readonly offset: number;
	readonly epoch: string;
	readonly bytes: Buffer;
}

const space = 32;
/** Longest offset and epoch together. */
const headBytesMax = 64;

/**
 * Reads a message that the scripts send, as views of it: the publications of a batch, in order.
 * ```
 * offset of the first | space | epoch | space | length of each, with commas between them | space | the publications
 * ```
 * @returns null = sent by another program or another version.
 */
export function readAnnouncements(message: Buffer): readonly Announcement[] | null {
	const afterOffset = message.indexOf(space);
	const afterEpoch = message.indexOf(space, afterOffset + 1);
	const afterLengths = message.indexOf(space, afterEpoch + 1);
	if (afterOffset < 1 || afterEpoch < 0 || afterEpoch > headBytesMax || afterLengths < 0) return null;
	const first = Number(message.toString("latin1", 0, afterOffset));
	if (!Number.isSafeInteger(first)) return null;
	const epoch = message.toString("latin1", afterOffset + 1, afterEpoch);
	const lengths = message.toString("latin1", afterEpoch + 1, afterLengths).split(",");
	let start = afterLengths + 1;
	const announcements: Announcement[] = [];
	for (const text of lengths) {
		const end = start + Number(text);
		if (!(end >= start && end <= message.length)) return null;
		announcements.push({ offset: first + announcements.length, epoch, bytes: message.subarray(start, end) });
		start = end;
	}
	return start === message.length ? announcements : null;
}

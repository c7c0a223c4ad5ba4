import type { BrokerAccepted, Position } from "@shardcast/channel-log";

/** The position of a channel, and some of its publications as stored in Redis. */
export interface StreamPart {
	readonly position: Position;
	readonly entries: readonly { readonly offset: number; readonly bytes: Buffer }[];
	/** The last offset that was removed; 0 = none. */
	readonly removed: number;
}

/*
 * A wrong answer must not end a shard, and so all its connections. Redis gives none, but whatever is between Redis and this machine may, and so may
 * other programs that write to the same keys.
 */

/** @param count of publications in the batch. @returns an outcome for each, in order; null = not an answer of the script. */
export function publishAnswer(answer: unknown, count: number): readonly BrokerAccepted[] | null {
	if (!Array.isArray(answer)) return null;
	const [epoch, last, known] = answer as readonly unknown[];
	if (!Array.isArray(known) || known.length % 3 !== 0 || known.length / 3 > count) return null;
	const before = new Map<unknown, Position>();
	for (let at = 0; at < known.length; at += 3) {
		const position = positionIn(known[at + 1], known[at + 2]);
		if (position === null) return null;
		before.set(known[at], position);
	}
	const added = count - before.size;
	const end = added === 0 ? { offset: 0, epoch: "" } : positionIn(last, epoch);
	if (end === null || end.offset < added) return null;
	let offset = end.offset - added;
	return Array.from({ length: count }, (_, index) => {
		const position = before.get(index);
		if (position !== undefined) return { outcome: "accepted", position, duplicate: true };
		return { outcome: "accepted", position: { offset: ++offset, epoch: end.epoch } };
	});
}

/** @param answer with Buffers. @returns null = not an answer of the script. Entries that this program has not written are left out. */
export function readAnswer(answer: unknown): StreamPart | null {
	if (!Array.isArray(answer)) return null;
	const [epoch, offset, entries, removed] = answer as readonly unknown[];
	const position = positionIn(offset, epoch);
	const removedTo = offsetIn(removed);
	if (position === null || removedTo === null || !Array.isArray(entries)) return null;
	return { position, entries: entries.flatMap((entry: unknown) => entryIn(entry) ?? []), removed: removedTo };
}

/** `[id, ["p", publication]]` */
function entryIn(entry: unknown): { readonly offset: number; readonly bytes: Buffer } | null {
	if (!Array.isArray(entry)) return null;
	const [id, fields] = entry as readonly unknown[];
	const bytes: unknown = Array.isArray(fields) ? fields[1] : undefined;
	const [, digits] = /^(\d+)-0$/.exec(String(id)) ?? [];
	const offset = offsetIn(digits);
	return offset === null || !Buffer.isBuffer(bytes) ? null : { offset, bytes };
}

function positionIn(offset: unknown, epoch: unknown): Position | null {
	const number = offsetIn(offset);
	const text = typeof epoch === "string" || Buffer.isBuffer(epoch) ? epoch.toString() : "";
	return number === null || text === "" ? null : { offset: number, epoch: text };
}

function offsetIn(value: unknown): number | null {
	const text = typeof value === "string" || Buffer.isBuffer(value) ? value.toString() : "";
	const offset = Number(text);
	return text !== "" && Number.isSafeInteger(offset) && offset >= 0 ? offset : null;
}

import { isUtf8 } from "node:buffer";
import { type ChannelList, channelList, isMessageType, isPriority, isUserIdTooLong, messageTypeMax, userIdBytesMax } from "@shardcast/wire";
import { ChannelListCache } from "../route/channel-list-cache.ts";
import type { SourceRecord } from "../source.ts";

/** Headers of a record in one of `--kafka-message-topics`. */
export const MessageHeader = {
	/** `all`, `user:<id>` or `room:<channel>`; absent = the channels that template or route function give. */
	to: "shardcast-to",
	/** The type. Clients get the value, which must be JSON, as payload of a message with this type. */
	type: "shardcast-type",
	/** `normal` or `high`. */
	priority: "shardcast-priority",
} as const;

/** Headers added to a dead letter. A record that has them already was one before. */
export const LetterHeader = { reason: "shardcast-reason", source: "shardcast-source" } as const;

/** What a record's headers say. */
export interface MessageHeaders {
	/** To the connections of this user, whose id takes the place of a channel, or of all; null = to the clients of channels. */
	readonly direct: ChannelList | null;
	/** Null = the channels that template or route function give. */
	readonly room: ChannelList | null;
	readonly type: string | null;
	/** High priority. */
	readonly urgent: boolean;
}

export const noMessageHeaders: MessageHeaders = { direct: null, room: null, type: null, urgent: false };

const prefix = "shardcast-";
const known: readonly string[] = Object.values(MessageHeader);
/** Dead letters may be written back to their topic as they are. */
const ignored: readonly string[] = Object.values(LetterHeader);
const toAll = channelList([]);
/** Caches: users and channels repeat. */
const userLists = new ChannelListCache((id) => (id === "" || isUserIdTooLong(id) ? null : channelList([id])));
const roomLists = new ChannelListCache((name) => {
	try {
		return name === "" ? null : channelList([name]);
	} catch {
		// Too long, which the caller reports.
		return null;
	}
});

/**
 * Reads the headers, with the checks of the other ways to send a message: an unknown one is refused, since with a misspelt `shardcast-to` the
 * record would reach others. If a header occurs twice, the last one counts.
 * @returns a text that says what is wrong, if anything is.
 */
export function readMessageHeaders(record: Pick<SourceRecord, "eachHeader">): MessageHeaders | string {
	let to: string | null = null;
	let type: string | null = null;
	let urgent = false;
	let problem: string | null = null;
	let found = false;
	record.eachHeader((name, value) => {
		if (!name.startsWith(prefix) || ignored.includes(name)) return;
		found = true;
		if (!known.includes(name)) problem ??= `it has the header ${name.slice(0, 60)}, which is not known here; ${known.join(", ")} are`;
		else if (value === null || !isUtf8(value)) problem ??= `its header ${name} is ${value === null ? "null" : "not valid UTF-8"}`;
		else if (name === MessageHeader.to) to = value.toString();
		else if (name === MessageHeader.type) type = value.toString();
		else {
			const priority = value.toString();
			if (!isPriority(priority)) problem ??= `its header ${name} must be normal or high, not ${shown(priority)}`;
			urgent = priority === "high";
		}
	});
	if (!found) return noMessageHeaders;
	if (problem !== null) return problem;
	if (type !== null && !isMessageType(type)) return `its header ${MessageHeader.type} must have 1 to ${messageTypeMax} characters`;
	return addressed(to, type, urgent);
}

function addressed(to: string | null, type: string | null, urgent: boolean): MessageHeaders | string {
	if (to === null) return { direct: null, room: null, type, urgent };
	if (to.startsWith("room:")) {
		const room = roomLists.of(to.slice("room:".length));
		return room === null
			? `its header ${MessageHeader.to} must name a channel of 1 to 255 bytes after "room:"`
			: { direct: null, room, type, urgent };
	}
	const isUser = to.startsWith("user:");
	if (!isUser && to !== "all") return `its header ${MessageHeader.to} must be all, user:<id> or room:<channel>, not ${shown(to)}`;
	const direct = isUser ? userLists.of(to.slice("user:".length)) : toAll;
	if (direct === null) return `its header ${MessageHeader.to} must name a user of 1 to ${userIdBytesMax} bytes after "user:"`;
	return type === null
		? `it has the header ${MessageHeader.to} ${shown(to)} without ${MessageHeader.type}`
		: { direct, room: null, type, urgent };
}

function shown(text: string): string {
	return `"${text.length > 40 ? `${text.slice(0, 40)}…` : text}"`;
}

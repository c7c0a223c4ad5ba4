import type { Broker, ChannelLog } from "@shardcast/channel-log";

/**
 * Where commands look for the past of channels: `position` and `history` answer at once, or with null = ask again in a later turn. The logs are one,
 * and so is whatever keeps the channels whose publications the logs only bring to the shards.
 */
export interface HistoryReader extends Pick<ChannelLog, "position" | "history"> {
	/** What else `position` waits for at present; null, or absent = for a later turn. Never rejects. */
	waits?(channel: string): Promise<void> | null;
	/** For commands that ask for nothing but history, and for their order with others' publications; null, or absent = this. */
	broker?(channel: string): Broker | null;
}

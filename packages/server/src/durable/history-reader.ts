import type { Broker, ChannelLog } from "@shardcast/channel-log";

/** What commands need of a broker when they need only history. */
export type HistoryBroker = Pick<Broker, "history" | "position" | "removeHistory">;

/**
 * The source of channels' positions and histories for commands: `position` and `history` answer at once, or return null = ask again in a later
 * turn. The logs implement this, and so do the stores for which the logs only distribute publications.
 */
export interface HistoryReader extends Pick<ChannelLog, "position" | "history"> {
	/** Resolves when another call of `position` is worthwhile; null or absent = in a later turn. Never rejects. */
	waits?(channel: string): Promise<void> | null;
	/** The broker to ask when a command needs only history, in one order with other publications; null or absent = this object. */
	broker?(channel: string): HistoryBroker | null;
}

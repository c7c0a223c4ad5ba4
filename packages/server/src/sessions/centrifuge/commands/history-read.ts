import type { ChannelLog, History } from "@shardcast/channel-log";
import type { HistoryRequest } from "@shardcast/protocol";
import { inALaterTurn, waitMsMax } from "../timing/in-a-later-turn.ts";

/**
 * Reads a channel's history as the protocol has it: a negative limit = as many as are allowed, a `since` without an epoch means the present one.
 * Null = the log was locked for too long.
 */
export function readHistory(
	log: Pick<ChannelLog, "history" | "position">,
	name: string,
	{ limit: asked, since, reverse }: Pick<HistoryRequest, "limit" | "since" | "reverse">,
	most: number,
): History | null | Promise<History | null> {
	const limit = asked < 0 ? most : Math.min(asked, most);
	return inALaterTurn((): History | null => {
		if (since === null) return log.history(name, { limit, reverse });
		const epoch = since.epoch || log.position(name)?.epoch;
		return epoch === undefined ? null : log.history(name, { limit, reverse, since: { offset: since.offset, epoch } });
	}, waitMsMax);
}

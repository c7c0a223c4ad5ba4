import type { History } from "@shardcast/channel-log";
import type { HistoryRequest } from "@shardcast/protocol";
import type { HistoryBroker, HistoryReader } from "../../../../durable/history-reader.ts";
import { inALaterTurn, waitMsMax } from "../../timing/in-a-later-turn.ts";

/**
 * Reads a channel's history with the protocol's rules: a negative limit means as many as are allowed, and a `since` without an epoch means the
 * present epoch. Null = the log was locked for too long, or the broker cannot be reached.
 */
export function readHistory(
	log: HistoryReader,
	name: string,
	{ limit: asked, since, reverse }: Pick<HistoryRequest, "limit" | "since" | "reverse">,
	most: number,
): History | null | Promise<History | null> {
	const limit = asked < 0 ? most : Math.min(asked, most);
	const broker = log.broker?.(name) ?? null;
	if (broker !== null) return readFrom(broker, name, { limit, since, reverse });
	return inALaterTurn((): History | null => {
		if (since === null) return log.history(name, { limit, reverse });
		const epoch = since.epoch || log.position(name)?.epoch;
		return epoch === undefined ? null : log.history(name, { limit, reverse, since: { offset: since.offset, epoch } });
	}, waitMsMax);
}

async function readFrom(
	broker: HistoryBroker,
	name: string,
	{ limit, since, reverse }: Pick<HistoryRequest, "limit" | "since" | "reverse">,
): Promise<History | null> {
	if (since === null) return broker.history(name, { limit, reverse });
	const epoch = since.epoch || (await broker.position(name))?.epoch;
	return epoch === undefined ? null : broker.history(name, { limit, reverse, since: { offset: since.offset, epoch } });
}

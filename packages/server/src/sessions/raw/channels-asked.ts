import { queryProblem, type Reply, refusal } from "@shardcast/http";
import { type ChannelList, channelList, everybody } from "@shardcast/wire";

/** The query parameters of the raw endpoint. */
const known = ["channels", "token"];

/** The channels in the query of a raw client, or the reply that refuses it. */
export function channelsAsked(query: string): { readonly channels: ChannelList } | { readonly refused: Reply } {
	const problem = queryProblem(query, known);
	if (problem !== null) return { refused: refusal("bad_request", problem) };
	try {
		return { channels: channelsOf(query) };
	} catch (error) {
		if (!(error instanceof RangeError)) throw error;
		return { refused: refusal("bad_request", `channels: ${error.message}`) };
	}
}

/**
 * Parses `?channels=a,b`; an empty list without that parameter.
 * @throws RangeError when a name is empty or too long, or when there are too many.
 */
export function channelsOf(query: string): ChannelList {
	if (query === "") return everybody;
	const values = new URLSearchParams(query).getAll("channels");
	return channelList(values.flatMap((value) => value.split(",")));
}

import { type Config, parseAffinitySource } from "@shardcast/config";
import { queryProblem, type Reply, refusal } from "@shardcast/http";
import { type ChannelList, channelList, everybody } from "@shardcast/wire";

/**
 * The query parameters of the raw endpoint. The balancer, or an edge on another machine, reads some of them to choose a shard or a node, so they
 * have no meaning here: `user` and `connection`, and those that --lb-affinity-from names.
 */
export function rawParameters({ lbAffinityFrom }: Pick<Config, "lbAffinityFrom">): readonly string[] {
	const places = lbAffinityFrom.map(parseAffinitySource).flatMap((source) => (source.in === "query" ? [source.name] : []));
	return ["channels", "token", ...new Set(["user", "connection", ...places])];
}

/** The channels in the query of a raw client, or the reply that refuses it. @param known as `rawParameters` returns them. */
export function channelsAsked(query: string, known: readonly string[]): { readonly channels: ChannelList } | { readonly refused: Reply } {
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

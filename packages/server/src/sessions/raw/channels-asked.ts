import { type Reply, refusal } from "@shardcast/http";
import { type ChannelList, channelList, everybody } from "@shardcast/wire";

/** The channels of a raw client's URL, or what is wrong with them. */
export function channelsAsked(query: string): { readonly channels: ChannelList } | { readonly refused: Reply } {
	try {
		return { channels: channelsOf(query) };
	} catch (error) {
		if (!(error instanceof RangeError)) throw error;
		return { refused: refusal("bad_request", `channels: ${error.message}`) };
	}
}

/**
 * `?channels=a,b`; none without that parameter.
 * @throws RangeError when a name is empty or too long, or there are too many.
 */
export function channelsOf(query: string): ChannelList {
	if (query === "") return everybody;
	const values = new URLSearchParams(query).getAll("channels");
	return channelList(values.flatMap((value) => value.split(",")));
}

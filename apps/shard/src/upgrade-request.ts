import { type ChannelList, channelList, everybody } from "@shardcast/wire";
import { type HttpReply, refusal, stopping } from "./http-reply.ts";
import { originAllowed } from "./origin.ts";

/** What a WebSocket upgrade is judged by. Header values are as sent, "" when absent. */
export interface UpgradeHead {
	readonly query: string;
	readonly origin: string;
	readonly upgrade: string;
	readonly version: string;
}

export interface UpgradeRules {
	readonly allowedOrigins: readonly string[];
	readonly draining: boolean;
}

/** The channels that the client asks for, or why it may not connect. Whether there is room for it is not looked at here. */
export function judgeUpgrade(head: UpgradeHead, rules: UpgradeRules): { readonly channels: ChannelList } | { readonly refused: HttpReply } {
	if (rules.draining) return { refused: stopping() };
	if (!originAllowed(head.origin, rules.allowedOrigins))
		return { refused: refusal("origin_not_allowed", `pages of ${head.origin.slice(0, 200)} may not connect here`) };
	if (head.upgrade.toLowerCase() !== "websocket" || head.version !== "13") return { refused: upgradeRequired() };
	try {
		return { channels: channelsOf(head.query) };
	} catch (error) {
		if (!(error instanceof RangeError)) throw error;
		return { refused: refusal("bad_request", `channels: ${error.message}`) };
	}
}

/** To whoever asks for a WebSocket's path by plain HTTP. */
export function upgradeRequired(): HttpReply {
	return refusal("upgrade_required", "this is a WebSocket endpoint: connect with ws://", {
		headers: { Upgrade: "websocket", "Sec-WebSocket-Version": "13" },
	});
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

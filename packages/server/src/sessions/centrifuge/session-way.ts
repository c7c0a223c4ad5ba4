import type { CentrifugeSession } from "./centrifuge-session.ts";

/** How a client is connected, by Centrifugo's names. */
export function wayOf({ framing, sessionId }: Pick<CentrifugeSession, "framing" | "sessionId">): {
	readonly transport: string;
	readonly protocol: string;
} {
	const protocol = framing.codec.binary ? "protobuf" : "json";
	const { isUni, name } = framing;
	const isStream = name.includes("stream");
	if (isUni) return { transport: name.includes("sse") ? "uni_sse" : isStream ? "uni_http_stream" : "uni_websocket", protocol };
	if (sessionId === "") return { transport: "websocket", protocol };
	return { transport: isStream ? "http_stream" : "sse", protocol };
}

import type { UpgradeHead } from "../../transports/upgrade-request.ts";
import { type Framing, uniWebSocketJson, uniWebSocketProtobuf, webSocketJson, webSocketProtobuf } from "./framing.ts";
import { connectParameter } from "./http/stream-routes.ts";

/** What a client asks for with its upgrade. */
export interface WebSocketRequest {
	readonly framing: Framing;
	/** It answers pings of the WebSocket's own kind. */
	readonly framePings: boolean;
	/** The one of those that it offers that it is answered; undefined = the server's choice. */
	readonly subprotocol: string | undefined;
	/** Its connect request, of a client that only listens; null = it comes in its first frame. */
	readonly first: Uint8Array | null;
}

/** Protobuf for those that ask for it, by sub-protocol or in the query. */
export function webSocketRequest({ subprotocols, query: text }: UpgradeHead, isUni: boolean): WebSocketRequest {
	const query = new URLSearchParams(text);
	const offered = subprotocols.split(",").map((name) => name.trim());
	const isProtobuf = query.get("cf_protocol") === "protobuf" || offered.includes("centrifuge-protobuf");
	const own = isProtobuf ? "centrifuge-protobuf" : "centrifuge-json";
	const [json, protobuf] = isUni ? [uniWebSocketJson, uniWebSocketProtobuf] : [webSocketJson, webSocketProtobuf];
	const first = query.get(connectParameter);
	return {
		framing: isProtobuf ? protobuf : json,
		framePings: query.get("cf_ws_frame_ping_pong") === "true",
		subprotocol: offered.includes(own) ? own : undefined,
		first: first === null ? null : Buffer.from(first),
	};
}

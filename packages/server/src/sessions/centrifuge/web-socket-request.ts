import type { UpgradeHead } from "../../transports/upgrade-request.ts";
import { type Framing, uniWebSocketJson, uniWebSocketProtobuf, webSocketJson, webSocketProtobuf } from "./framing.ts";
import { connectParameter } from "./http/stream-routes.ts";

/** What an upgrade request asks for. */
interface WebSocketRequest {
	readonly framing: Framing;
	/** The client answers WebSocket pings, so it needs no pings of the protocol. */
	readonly framePings: boolean;
	/** The one of the offered subprotocols that the server selects; undefined = none of ours was offered. */
	readonly subprotocol: string | undefined;
	/** The connect request of a unidirectional client; null = it arrives in the first frame. */
	readonly first: Uint8Array | null;
}

/** Selects Protobuf if the subprotocol or the query asks for it. */
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

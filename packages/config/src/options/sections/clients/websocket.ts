import { size, toggle } from "../../kinds.ts";
import { option, withGateway } from "../../option.ts";

/** Section `websocket`: all endpoints that speak WebSocket. */
export const webSocketOptions = {
	webSocketCompression: option({
		flag: "websocket-compression",
		key: "compression",
		kind: toggle(),
		default: false,
		commands: withGateway,
		help: "Compress messages to WebSocket clients that offer permessage-deflate. It saves bandwidth and costs CPU for each delivery: every client's copy is compressed.",
	}),
	webSocketCompressionBytesMin: option({
		flag: "websocket-compression-min-size",
		key: "compression_min_size",
		kind: size({ minBytes: 0, maxBytes: 16 * 1024 * 1024 }),
		default: 256,
		commands: withGateway,
		help: "Shorter messages are not compressed, since that saves little or nothing.",
	}),
} as const;

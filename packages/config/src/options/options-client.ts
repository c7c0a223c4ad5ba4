import { oneOrAll, parseOrigin } from "../units/origin.ts";
import { choice, duration, list, secret, size } from "./kinds.ts";
import { option } from "./option.ts";

/** Section `client`. */
export const clientOptions = {
	allowedOrigins: option({
		flag: "allowed-origins",
		key: "allowed_origins",
		kind: list({ argument: "<list>", item: parseOrigin, check: oneOrAll }),
		default: [],
		live: true,
		help: "Origins of other sites whose pages may connect and publish, such as https://example.com; * = all, null = files and sandboxed frames. The server's own pages, and local pages on any port, are always allowed.",
	}),
	clientPublish: option({
		flag: "client-publish",
		key: "publish",
		kind: choice(["auto", "on", "off"]),
		default: "auto",
		live: true,
		help: "Whether WebSocket clients may publish; a client that may not is closed with 3507 when it sends a frame; auto = only without --api-key.",
	}),
	idleTimeoutMs: option({
		flag: "idle-timeout",
		key: "idle_timeout",
		kind: duration({ minMs: 8000, maxMs: 960_000, zero: true }),
		default: 120_000,
		live: true,
		help: "How long a client may be silent and leave pings unanswered before it is closed; 0 = for ever.",
	}),
	maxBufferedBytes: option({
		flag: "max-buffered",
		key: "queue_max_size",
		kind: size({ minBytes: 1024, maxBytes: 1_073_741_824 }),
		default: 1_048_576,
		live: true,
		help: "Maximum bytes waiting for one slow client; beyond it the client is closed with 3008.",
	}),
} as const;

/** Section `http_api`. */
export const httpApiOptions = {
	apiKey: option({
		flag: "api-key",
		key: "key",
		kind: secret({ argument: "<key>", charactersMin: 8 }),
		default: undefined,
		live: true,
		help: "Key that HTTP publishers must send, at least 8 characters; set it in the environment, where ps does not show it; none = open mode.",
	}),
} as const;

/** Section `console`. */
export const consoleOptions = {
	consoleToken: option({
		flag: "console-token",
		key: "token",
		kind: secret({ argument: "<token>", charactersMin: 8 }),
		default: undefined,
		live: true,
		help: "Token, at least 8 characters, that opens /console from anywhere (/console?token=…); none = the console answers this machine only.",
	}),
} as const;

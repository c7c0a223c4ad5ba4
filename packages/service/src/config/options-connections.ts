import { duration, integer, list, secret, size } from "./option.ts";

/** What one client may do, and how long the server bears with it. */
export const connectionOptions = {
	maxPayloadBytes: size({
		flag: "max-payload",
		default: 65_536,
		minBytes: 1,
		maxBytes: 16_777_216,
		help: "Longest message of a client or of POST /api/publish; a longer frame closes the connection with 1009.",
	}),
	maxBufferedBytes: size({
		flag: "max-buffered",
		default: 1_048_576,
		minBytes: 1024,
		maxBytes: 1_073_741_824,
		help: "Most bytes that may wait for one slow client before it is closed with 3008.",
	}),
	idleTimeoutMs: duration({
		flag: "idle-timeout",
		default: 120_000,
		minMs: 8000,
		maxMs: 960_000,
		zero: true,
		help: "Silence, pings unanswered, after which a client is closed; 0 = never.",
	}),
	flushMaxMs: duration({
		flag: "flush-max",
		default: 10,
		minMs: 1,
		maxMs: 1000,
		zero: true,
		help: "Longest that a delivery waits under load to be merged with others, half of it before the flush and half within; 0 = write each message at once.",
	}),
	messageRate: integer({
		flag: "message-rate",
		default: 0,
		min: 0,
		max: 1_000_000,
		help: "Messages per second that one client may send; 0 = no limit.",
	}),
	headTimeoutMs: duration({
		flag: "head-timeout",
		default: 5000,
		minMs: 100,
		maxMs: 300_000,
		help: "Time that a client has to send its request head before it is answered 408.",
	}),
	headBytesMax: size({
		flag: "head-max",
		default: 16_384,
		minBytes: 1024,
		maxBytes: 65_536,
		help: "Longest request head; a longer one is answered 431.",
	}),
	drainRate: integer({
		flag: "drain-rate",
		default: 5000,
		min: 1,
		max: 1_000_000,
		help: "Clients per second and shard that are told to reconnect during a graceful stop.",
	}),
	allowedOrigins: list({
		flag: "allowed-origins",
		default: [],
		argument: "<list>",
		help: "Origins whose pages may connect, such as https://example.com; none = all.",
	}),
	apiKey: secret({
		flag: "api-key",
		default: undefined,
		argument: "<key>",
		charactersMin: 8,
		help: "Key that publishers over HTTP must show; better given in the environment, where ps does not show it; none = open mode.",
	}),
	consoleToken: secret({
		flag: "console-token",
		default: undefined,
		argument: "<token>",
		charactersMin: 8,
		help: "Token that opens /console from anywhere (/console?token=…); none = the console answers this machine only.",
	}),
} as const;

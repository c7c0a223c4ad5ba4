import { oneOrAll, parseOrigin } from "../../units/origin.ts";
import { choice, duration, integer, list, secret, size, text, toggle } from "../kinds.ts";
import { option } from "../option.ts";
import { rateLimitOptions } from "./rate-limit.ts";
import { subscriptionTokenOptions, tokenOptions } from "./token.ts";

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
	clientInsecure: option({
		flag: "client-insecure",
		key: "insecure",
		kind: toggle(),
		default: false,
		live: true,
		help: "Clients of the Centrifuge protocol may connect, subscribe, publish, and read history and presence without a token or permission; for development only.",
	}),
	allowAnonymousConnect: option({
		flag: "allow-anonymous-connect",
		key: "allow_anonymous_connect_without_token",
		kind: toggle(),
		default: false,
		live: true,
		help: "Clients of the Centrifuge protocol may connect without a token, as anonymous users; otherwise they are closed with 3501.",
	}),
	disallowAnonymousTokens: option({
		flag: "disallow-anonymous-tokens",
		key: "disallow_anonymous_connection_tokens",
		kind: toggle(),
		default: false,
		live: true,
		help: "A connection token must name a user; a client whose token does not is closed with 3507.",
	}),
	...tokenOptions,
	...subscriptionTokenOptions,
	personalChannelEnabled: option({
		flag: "user-personal-channel",
		key: "subscribe_to_user_personal_channel.enabled",
		kind: toggle(),
		default: false,
		live: true,
		help: "Each client with a user is subscribed to the channel of this user, such as #42, when it connects.",
	}),
	personalChannelNamespace: option({
		flag: "user-personal-channel-namespace",
		key: "subscribe_to_user_personal_channel.personal_channel_namespace",
		kind: text({ argument: "<name>", matches: /^([-a-zA-Z0-9_.]{2,})?$/, expected: "the name of a namespace" }),
		default: "",
		live: true,
		help: "Namespace of those channels; empty = none.",
	}),
	singleConnection: option({
		flag: "user-single-connection",
		key: "subscribe_to_user_personal_channel.single_connection",
		kind: toggle(),
		default: false,
		live: true,
		help: "A user's earlier connections are closed with 3504 when another one comes; needs the personal channel.",
	}),
	pingIntervalMs: option({
		flag: "ping-interval",
		key: "ping_interval",
		kind: duration({ minMs: 1000, maxMs: 3_600_000 }),
		default: 25_000,
		live: true,
		help: "How often a client of the Centrifuge protocol is pinged.",
	}),
	pongTimeoutMs: option({
		flag: "pong-timeout",
		key: "pong_timeout",
		kind: duration({ minMs: 100, maxMs: 3_600_000 }),
		default: 8000,
		live: true,
		help: "Time for the client to answer a ping before it is closed with 3012; must be shorter than --ping-interval.",
	}),
	staleCloseDelayMs: option({
		flag: "stale-close-delay",
		key: "stale_close_delay",
		kind: duration({ minMs: 100, maxMs: 3_600_000 }),
		default: 10_000,
		live: true,
		help: "Time for a client of the Centrifuge protocol to send its connect command before it is closed with 3502.",
	}),
	expiredCloseDelayMs: option({
		flag: "expired-close-delay",
		key: "expired_close_delay",
		kind: duration({ minMs: 100, maxMs: 3_600_000 }),
		default: 25_000,
		live: true,
		help: "Time for a client to send a new token after its token has expired, before it is closed with 3005.",
	}),
	expiredSubCloseDelayMs: option({
		flag: "expired-sub-close-delay",
		key: "expired_sub_close_delay",
		kind: duration({ minMs: 100, maxMs: 3_600_000 }),
		default: 25_000,
		live: true,
		help: "Time for a client to send a new subscription token after one has expired, before the subscription ends with 2501.",
	}),
	channelLimit: option({
		flag: "channel-limit",
		key: "channel_limit",
		kind: integer({ min: 1, max: 100_000 }),
		default: 128,
		live: true,
		help: "Maximum number of channels to which one client of the Centrifuge protocol can subscribe.",
	}),
	userConnectionLimit: option({
		flag: "user-connection-limit",
		key: "user_connection_limit",
		kind: integer({ min: 0, max: 1_000_000 }),
		default: 0,
		live: true,
		help: "Maximum connections of one user at once in the whole cluster; one more is closed with 3504. Anonymous users are not counted; 0 = no limit.",
	}),
	...rateLimitOptions,
	historyLimitMax: option({
		flag: "history-max-publications",
		key: "history_max_publication_limit",
		kind: integer({ min: 1, max: 10_000 }),
		default: 300,
		live: true,
		help: "Maximum number of publications that one history command returns.",
	}),
	recoveryLimitMax: option({
		flag: "recovery-max-publications",
		key: "recovery_max_publication_limit",
		kind: integer({ min: 1, max: 10_000 }),
		default: 300,
		live: true,
		help: "Maximum number of missed publications with which a subscription can still be recovered.",
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

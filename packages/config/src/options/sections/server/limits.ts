import { duration, integer, size } from "../../kinds.ts";
import { everywhere, option, withEdge, withGateway } from "../../option.ts";

/** Section `limits`. */
export const limitOptions = {
	maxConnections: option({
		flag: "max-connections",
		key: "max_connections",
		kind: integer({ min: 1, max: 10_000_000 }),
		default: 12_000,
		commands: withGateway,
		live: true,
		help: "Maximum WebSockets in the whole cluster; each shard, or process of a gateway, takes an equal share, rounded up.",
	}),
	maxConnectionsPerIp: option({
		flag: "max-connections-per-ip",
		key: "max_connections_per_ip",
		kind: integer({ min: 0, max: 1_000_000 }),
		default: 0,
		commands: withGateway,
		live: true,
		help: "Maximum WebSockets from one address (IPv6: one /64) at once in the whole cluster; more get 429. Behind a NAT or a proxy, many clients share an address; 0 = no limit.",
	}),
	connectionRate: option({
		flag: "connection-rate",
		key: "connection_rate",
		kind: integer({ min: 0, max: 1_000_000 }),
		default: 0,
		commands: withGateway,
		live: true,
		help: "New WebSockets per second in the whole cluster, with bursts of one second's worth; more get 429; 0 = no limit.",
	}),
	connectionRatePerIp: option({
		flag: "connection-rate-per-ip",
		key: "connection_rate_per_ip",
		kind: integer({ min: 0, max: 1_000_000 }),
		default: 0,
		commands: withGateway,
		live: true,
		help: "New WebSockets per second from one address (IPv6: one /64). Behind a NAT or a proxy, many clients share an address; 0 = no limit.",
	}),
	messageRate: option({
		flag: "message-rate",
		key: "message_rate",
		kind: integer({ min: 0, max: 1_000_000 }),
		default: 0,
		live: true,
		help: "Messages per second from one client, or over HTTP from one address (IPv6: one /64) to all shards together; 0 = no limit.",
	}),
	maxPayloadBytes: option({
		flag: "max-payload",
		key: "max_payload",
		kind: size({ minBytes: 1, maxBytes: 16_777_216 }),
		default: 65_536,
		help: "Maximum length of a message from a client or POST /api/publish; a longer frame closes the connection with 1009.",
	}),
	headTimeoutMs: option({
		flag: "head-timeout",
		key: "head_timeout",
		kind: duration({ minMs: 100, maxMs: 300_000 }),
		default: 5000,
		commands: everywhere,
		live: true,
		help: "Maximum time for a client to send its request head; then the client gets 408.",
	}),
	headBytesMax: option({
		flag: "head-max",
		key: "head_max",
		kind: size({ minBytes: 1024, maxBytes: 65_536 }),
		default: 16_384,
		commands: withEdge,
		help: "Maximum length of a request head; a longer one gets 431.",
	}),
} as const;

import { parseRedisAddress, redisAddressText } from "../../../redis/redis-address.ts";
import { duration, pemFile, secretText, text, toggle } from "../../kinds.ts";
import { everywhere, option } from "../../option.ts";

/** Section `redis`. */
export const redisOptions = {
	redisAddress: option({
		flag: "redis-url",
		key: "address",
		variable: "REDIS_URL",
		kind: secretText({
			argument: "<url>",
			check: parseRedisAddress,
			shown: (value) => redisAddressText(parseRedisAddress(value)),
		}),
		default: undefined,
		commands: everywhere,
		help: "Redis 7 or Valkey, such as redis://10.0.0.5:6379; rediss:// = with TLS; redis+cluster://10.0.0.5:6379?addr=10.0.0.6:6379 = a Redis Cluster; none = this node works alone. A gateway takes blocked users, revoked tokens and kicks of the nodes from it. Set an address with a password in the environment, where ps does not show it.",
	}),
	redisPrefix: option({
		flag: "redis-prefix",
		key: "prefix",
		kind: text({
			argument: "<text>",
			matches: /^[\w.-]{1,64}$/,
			expected: "a prefix: letters, digits, dots, dashes and underscores, 64 at most",
		}),
		default: "ws",
		commands: everywhere,
		help: "Prefix, before a colon, of all keys and channels in Redis. Nodes with the same prefix and database work together. A database other than 0 follows the prefix: ws/2:publish.",
	}),
	redisConnectTimeoutMs: option({
		flag: "redis-connect-timeout",
		key: "connect_timeout",
		kind: duration({ minMs: 50, maxMs: 60_000 }),
		default: 1000,
		commands: everywhere,
		help: "Maximum time to connect to Redis; the start waits no longer than this.",
	}),
	redisTimeoutMs: option({
		flag: "redis-timeout",
		key: "io_timeout",
		kind: duration({ minMs: 50, maxMs: 60_000 }),
		default: 4000,
		commands: everywhere,
		help: "Maximum time for a reply from Redis; then the connection is closed and opened again.",
	}),
	redisTlsCa: option({
		flag: "redis-tls-ca",
		key: "tls.ca",
		kind: pemFile(),
		default: "",
		commands: everywhere,
		help: "PEM file of the CA that signed the certificate of Redis, for rediss://; none = the CAs that Node trusts.",
	}),
	redisTlsCert: option({
		flag: "redis-tls-cert",
		key: "tls.cert",
		kind: pemFile(),
		default: "",
		commands: everywhere,
		help: "PEM file of the client certificate, if Redis requires one.",
	}),
	redisTlsKey: option({
		flag: "redis-tls-key",
		key: "tls.key",
		kind: pemFile(),
		default: "",
		commands: everywhere,
		help: "PEM file of that certificate's key.",
	}),
	redisTlsVerify: option({
		flag: "redis-tls-verify",
		key: "tls.verify",
		kind: toggle(),
		default: true,
		commands: everywhere,
		help: "Verify the certificate of Redis; without this, anyone on the network path can read the traffic.",
	}),
} as const;

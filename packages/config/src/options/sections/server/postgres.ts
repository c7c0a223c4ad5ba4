import { parsePostgresAddress, postgresAddressText } from "../../../postgres/postgres-address.ts";
import { duration, integer, secretText, text } from "../../kinds.ts";
import { option } from "../../option.ts";

/** Section `postgres`. */
export const postgresOptions = {
	postgresAddress: option({
		flag: "postgres-url",
		key: "url",
		variable: "POSTGRES_URL",
		kind: secretText({
			argument: "<url>",
			check: parsePostgresAddress,
			shown: (value) => postgresAddressText(parsePostgresAddress(value)),
		}),
		default: undefined,
		help: "PostgreSQL 14 or later for the outbox, durable channels, blocked users and revoked tokens, such as postgres://app@10.0.0.5:5432/app?sslmode=verify-full. Give one with a password in the environment, where ps does not show it.",
	}),
	postgresSchema: option({
		flag: "postgres-schema",
		key: "schema",
		kind: text({
			argument: "<name>",
			matches: /^(?!pg_)[a-z_][a-z0-9_]{0,49}$/,
			expected: "a name of lower-case letters, digits and underscores, 50 at most, that does not begin with a digit or pg_",
		}),
		default: "shardcast",
		help: "Schema of the tables. It is created if it does not exist.",
	}),
	postgresConnectTimeoutMs: option({
		flag: "postgres-connect-timeout",
		key: "connect_timeout",
		kind: duration({ minMs: 50, maxMs: 60_000 }),
		default: 3000,
		help: "Maximum time to connect to PostgreSQL, and how long the start waits for it.",
	}),
	postgresTimeoutMs: option({
		flag: "postgres-timeout",
		key: "io_timeout",
		kind: duration({ minMs: 100, maxMs: 60_000 }),
		default: 5000,
		help: "Maximum time for an answer of PostgreSQL; after it, the connection is closed and opened again.",
	}),
	outboxSelectLimit: option({
		flag: "outbox-select-limit",
		key: "outbox.select_limit",
		kind: integer({ min: 1, max: 5000 }),
		default: 500,
		help: "Most rows of the outbox that are read at once.",
	}),
	outboxPollIntervalMs: option({
		flag: "outbox-poll-interval",
		key: "outbox.poll_interval",
		kind: duration({ minMs: 50, maxMs: 10_000 }),
		default: 1000,
		help: "How often the outbox is read without a notification of PostgreSQL.",
	}),
} as const;

import type { Kind } from "../../kind.ts";
import { field } from "../../kind.ts";
import { duration, integer, toggle } from "../../kinds.ts";
import { emptyTable, type Item, objects, table } from "../../objects.ts";
import { option } from "../../option.ts";

const bucketFields = {
	intervalMs: field({
		key: "interval",
		kind: duration({ minMs: 1, maxMs: 86_400_000 }),
		help: "Interval in which rate commands are allowed.",
	}),
	rate: field({
		key: "rate",
		kind: integer({ min: 1, max: 1_000_000 }),
		help: "Commands allowed per interval; all of them may come at once.",
	}),
} as const;

/** A number of commands per interval. */
export type RateBucket = Item<typeof bucketFields>;

const operationFields = {
	enabled: field({ key: "enabled", kind: toggle(), default: false, help: "Apply these buckets." }),
	buckets: field({
		key: "buckets",
		kind: objects({ fields: bucketFields, identity: "intervalMs" }),
		default: [],
		help: "Token buckets; a command needs room in each of them.",
	}),
} as const;

/** The limits of one kind of command. Centrifugo has more, for commands that shardcast does not have. */
export type RateOperation = Item<typeof operationFields>;

const operation = (key: string, help: string) =>
	field({
		key,
		kind: table({ fields: operationFields, foreign: new Set(["method_overrides"]) }),
		default: emptyTable(operationFields),
		help,
	});

const commands = {
	total: operation("total", "All commands together."),
	default: operation("default", "Each kind of command that has no enabled buckets itself; kinds are counted apart."),
	subscribe: operation("subscribe", "Subscribe commands."),
	unsubscribe: operation("unsubscribe", "Unsubscribe commands: they are counted, and never refused."),
	publish: operation("publish", "Publish commands."),
	history: operation("history", "History commands."),
	presence: operation("presence", "Presence commands."),
	presenceStats: operation("presence_stats", "Presence stats commands."),
	refresh: operation("refresh", "Refresh commands."),
	subRefresh: operation("sub_refresh", "Commands that refresh a subscription's token."),
	rpc: operation("rpc", "RPC commands."),
	send: operation("send", "Messages without a reply."),
} as const;

const enabled = field({ key: "enabled", kind: toggle(), default: false, help: "Limit commands." });
const clientFields = { enabled, ...commands } as const;
const userFields = { enabled, connect: operation("connect", "Connect commands."), ...commands } as const;
/** Centrifugo's limits for commands that shardcast does not have, and its dry run. */
const foreign: ReadonlySet<string> = new Set(
	"disconnect_on_accounted_limit dry_run map_publish map_remove namespace_overrides track untrack".split(" "),
);

/** The limits of all kinds of commands. */
export type CommandRates = Item<typeof clientFields> & Partial<Pick<Item<typeof userFields>, "connect">>;

const rates = <T extends typeof clientFields>(fields: T) => table({ fields, foreign }) as unknown as Kind<CommandRates>;

/** In section `client`. */
export const rateLimitOptions = {
	clientCommandRates: option({
		flag: "client-command-rates",
		key: "rate_limit.client_command",
		kind: rates(clientFields),
		default: emptyTable(clientFields) as CommandRates,
		live: true,
		help: "Commands that each connection of the Centrifuge protocol may send in an interval, by kind; one more gets error 111.",
	}),
	userCommandRates: option({
		flag: "user-command-rates",
		key: "rate_limit.user_command",
		kind: rates(userFields),
		default: emptyTable(userFields) as CommandRates,
		live: true,
		help: "Commands that each user may send in an interval over all connections and shards, by kind; one more gets error 111. Anonymous users are not counted.",
	}),
} as const;

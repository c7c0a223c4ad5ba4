import { parseRegex } from "../../../units/regex.ts";
import { centrifugoOnlyInNamespaces } from "../../centrifugo.ts";
import { type Fields, field } from "../../kind.ts";
import { checkedText, choice, duration, integer, list, size, text, toggle } from "../../kinds.ts";
import { emptyTable, type Item, objects, table } from "../../objects.ts";
import { option } from "../../option.ts";
import { channelProxyOptions, proxyName } from "./proxy.ts";

/** Maximum time to live of a position, and so of anything that must end before it. */
const longestMs = 49 * 24 * 3_600_000;
const namespaceName = /^[-a-zA-Z0-9_.]{2,}$/;

const dataFormat = () =>
	text({ argument: "<format>", matches: /^(|json|json_object|binary)$/, expected: "json, json_object, binary or empty" });

function deltaType(text: string): string {
	if (text !== "fossil") throw new RangeError("is not fossil, the only type of deltas");
	return text;
}

/** What may happen to a client that reads too slowly. */
const slowClientPolicies = ["disconnect", "drop-oldest", "keep-latest"] as const;

const tagName = () => text({ argument: "<tag>", matches: /^.{0,64}$/u, expected: "the name of a tag, 64 characters at most" });

const yes = (key: string, help: string) => field({ key, kind: toggle(), default: false, help });

/** Options of the channels of one namespace: names and meaning as in Centrifugo v6. */
export const channelFields = {
	historySize: field({
		key: "history_size",
		kind: integer({ min: 0, max: 1_000_000 }),
		default: 0,
		help: "Publications that each channel keeps; needs history_ttl. 0 = none.",
	}),
	historyTtlMs: field({
		key: "history_ttl",
		kind: duration({ minMs: 1, maxMs: longestMs, zero: true }),
		default: 0,
		help: "How long the history lives after the last publication, which renews it; needs history_size.",
	}),
	historyMetaTtlMs: field({
		key: "history_meta_ttl",
		kind: duration({ minMs: 1, maxMs: longestMs, zero: true }),
		default: 0,
		help: "How long offset and epoch outlive the last publication or read; at least history_ttl; 0 = channel.history_meta_ttl.",
	}),
	durable: yes(
		"durable",
		"Publications are written to the durable store before they are answered, and consumers acknowledge what they have handled; needs history, and channel.durable_store.path or postgres.url.",
	),
	forcePositioning: yes(
		"force_positioning",
		"Every subscriber is told its position; if it loses a publication, it is unsubscribed and subscribes again.",
	),
	allowPositioning: yes("allow_positioning", "The same for subscribers that ask for it."),
	forceRecovery: yes("force_recovery", "Every subscriber that returns gets what it missed; needs history."),
	allowRecovery: yes("allow_recovery", "The same for subscribers that ask for it."),
	presence: yes("presence", "The server keeps a list of who is subscribed."),
	joinLeave: yes(
		"join_leave",
		"Each subscriber that comes or goes is announced, to subscribers that ask for it and have the right to ask who is subscribed.",
	),
	forcePushJoinLeave: yes("force_push_join_leave", "All subscribers get these announcements; needs join_leave."),
	allowSubscribeForClient: yes("allow_subscribe_for_client", "Users may subscribe without a token."),
	allowSubscribeForAnonymous: yes("allow_subscribe_for_anonymous", "Clients without a user may as well; needs allow_subscribe_for_client."),
	allowPublishForClient: yes("allow_publish_for_client", "Users may publish."),
	allowPublishForSubscriber: yes("allow_publish_for_subscriber", "Users who are subscribed may publish."),
	allowPublishForAnonymous: yes("allow_publish_for_anonymous", "Clients without a user as well; needs one of the two above."),
	allowHistoryForClient: yes("allow_history_for_client", "Users may read the history."),
	allowHistoryForSubscriber: yes("allow_history_for_subscriber", "Users who are subscribed may read the history."),
	allowHistoryForAnonymous: yes("allow_history_for_anonymous", "Clients without a user as well; needs one of the two above."),
	allowPresenceForClient: yes("allow_presence_for_client", "Users may ask who is subscribed."),
	allowPresenceForSubscriber: yes("allow_presence_for_subscriber", "Users who are subscribed may ask who is subscribed."),
	allowPresenceForAnonymous: yes("allow_presence_for_anonymous", "Clients without a user as well; needs one of the two above."),
	subscribeProxyEnabled: yes("subscribe_proxy_enabled", "A backend is asked about each subscription without a token."),
	subscribeProxyName: proxyName("subscribe_proxy_name", "Which one of proxies; default = channel.proxy.subscribe."),
	publishProxyEnabled: yes("publish_proxy_enabled", "A backend is asked about each publication of a client."),
	publishProxyName: proxyName("publish_proxy_name", "Which one of proxies; default = channel.proxy.publish."),
	subRefreshProxyEnabled: yes("sub_refresh_proxy_enabled", "A backend is asked when a subscription expires."),
	subRefreshProxyName: proxyName("sub_refresh_proxy_name", "Which one of proxies; default = channel.proxy.sub_refresh."),
	allowUserLimitedChannels: yes(
		"allow_user_limited_channels",
		"Of a channel such as dialog#42,17, only the users after the last # may subscribe, without a token.",
	),
	allowWildcard: yes(
		"allow_wildcard",
		"Clients may subscribe to patterns such as BTC.*, with the same rights as to channels of the namespace.",
	),
	allowTagsFilter: yes("allow_tags_filter", "Subscribers may give a filter, and get only publications whose tags pass it."),
	allowedDeltaTypes: field({
		key: "allowed_delta_types",
		kind: list({ argument: "<types>", item: deltaType }),
		default: [],
		help: "fossil = subscribers that ask for it get a publication as its difference from the previous one; needs history.",
	}),
	deltaPublish: yes("delta_publish", "Every publication may go out as a difference; without it, those that were published with delta."),
	publicationDataFormat: field({
		key: "publication_data_format",
		kind: dataFormat(),
		default: "",
		help: "Format that publications must have: json, json_object or binary (which may be empty); others are refused. Empty = channel.publication_data_format.",
	}),
	publicationBytesMax: field({
		key: "max_publication_size",
		kind: size({ minBytes: 0, maxBytes: 16 * 1024 * 1024 }),
		default: 0,
		help: "Maximum length of a publication's data, at most limits.max_payload; 0 = limits.max_payload.",
	}),
	excludePublisher: yes("exclude_publisher", "A client of the Centrifuge protocol does not get its own publications."),
	slowClient: field({
		key: "slow_client",
		kind: choice(["default", ...slowClientPolicies]),
		default: "default",
		help: "What happens when a client reads too slowly: disconnect, drop-oldest or keep-latest; default = channel.slow_client.",
	}),
	slowClientKeyTag: field({
		key: "slow_client_key_tag",
		kind: tagName(),
		default: "",
		help: "Tag of publications that is the key for slow_client: keep-latest, such as the symbol of a stock. Empty = channel.slow_client_key_tag.",
	}),
	channelRegex: field({
		key: "channel_regex",
		kind: checkedText({ argument: "<regex>", check: parseRegex }),
		default: "",
		help: "Regular expression that the name after the namespace must match; if not given, names must be ASCII.",
	}),
} as const satisfies Fields;

/** Options of the channels of one namespace. */
export type ChannelOptions = Item<typeof channelFields>;

const namespaceFields = {
	name: field({
		key: "name",
		kind: text({ argument: "<name>", matches: namespaceName, expected: "two or more of letters, digits, - _ and ." }),
		help: "Name of the namespace: the part of its channels' names before the first colon.",
	}),
	...channelFields,
} as const satisfies Fields;

export type NamespaceOptions = Item<typeof namespaceFields>;

const mark = () => text({ argument: "<text>", matches: /^[!-~]{0,16}$/, expected: "0 to 16 visible ASCII characters" });

/** Of namespaces with `durable`. */
const durableOptions = {
	durableStorePath: option({
		flag: "durable-store-path",
		key: "durable_store.path",
		kind: text({ argument: "<folder>", matches: /^.*$/, expected: "a folder" }),
		default: "",
		help: "Folder of the durable store, on a local disk, for this server alone; created if it does not exist. Blocked users and revoked tokens are kept there, too. Empty = durable channels are in PostgreSQL (postgres.url), for all nodes; without that, no channel is durable.",
	}),
	durableStoreBytesMax: option({
		flag: "durable-store-max-size",
		key: "durable_store.max_size",
		kind: size({ minBytes: 1024 * 1024, maxBytes: 2 ** 40 }),
		default: 2 ** 30,
		live: true,
		help: "Maximum size of the histories of all durable channels; when it is reached, publications to them are refused.",
	}),
	durablePositionsMax: option({
		flag: "durable-store-max-positions",
		key: "durable_store.max_positions",
		kind: integer({ min: 1, max: 100_000_000 }),
		default: 1_000_000,
		live: true,
		help: "Maximum number of consumer positions in the store; one more consumer gets error 106.",
	}),
	durableAckTimeoutMs: option({
		flag: "durable-ack-timeout",
		key: "durable_store.ack_timeout",
		kind: duration({ minMs: 1000, maxMs: 24 * 3_600_000 }),
		default: 30_000,
		live: true,
		help: "A consumer that acknowledges nothing for this long gets its unacknowledged publications again.",
	}),
} as const;

/** Section `channel`. */
export const channelOptions = {
	...channelProxyOptions,
	...durableOptions,
	channelWithoutNamespace: option({
		flag: "channel-without-namespace",
		key: "without_namespace",
		kind: table({ fields: channelFields, foreign: centrifugoOnlyInNamespaces }),
		default: emptyTable(channelFields),
		live: true,
		help: "Options of channels without a namespace.",
	}),
	channelNamespaces: option({
		flag: "channel-namespaces",
		key: "namespaces",
		kind: objects({ identity: "name", fields: namespaceFields, foreign: centrifugoOnlyInNamespaces }),
		default: [],
		live: true,
		help: "Namespaces: options of the channels whose names begin with the name of the namespace and a colon.",
	}),
	channelHistoryMetaTtlMs: option({
		flag: "channel-history-meta-ttl",
		key: "history_meta_ttl",
		kind: duration({ minMs: 1, maxMs: longestMs }),
		default: 720 * 3_600_000,
		live: true,
		help: "How long offset and epoch of a channel are kept after its last publication or read, unless its namespace sets another time.",
	}),
	channelPublicationDataFormat: option({
		flag: "channel-publication-data-format",
		key: "publication_data_format",
		kind: dataFormat(),
		default: "",
		live: true,
		help: "Format that publications must have, unless their namespace sets one: json, json_object or binary; empty = any.",
	}),
	channelSlowClient: option({
		flag: "slow-client",
		key: "slow_client",
		kind: choice(slowClientPolicies),
		default: "disconnect",
		live: true,
		help: "What happens when a client reads too slowly, unless the namespace says: disconnect = it is closed with 3008, and recovers when it returns; drop-oldest = it misses the oldest publications that wait for it; keep-latest = it gets only the newest publication of each channel or key. A subscription with recovery ends with 2500 instead, and then recovers.",
	}),
	channelSlowClientKeyTag: option({
		flag: "slow-client-key-tag",
		key: "slow_client_key_tag",
		kind: tagName(),
		default: "",
		live: true,
		help: "Tag of publications that is the key for keep-latest, unless the namespace names one: such as the symbol of a stock. Publications without it share one key; empty = one key for each channel.",
	}),
	channelLengthMax: option({
		flag: "channel-max-length",
		key: "max_length",
		kind: integer({ min: 1, max: 255 }),
		default: 255,
		live: true,
		help: "Maximum length of a channel name, in bytes, for clients of the Centrifuge protocol.",
	}),
	channelPrivatePrefix: option({
		flag: "channel-private-prefix",
		key: "private_prefix",
		kind: mark(),
		default: "$",
		live: true,
		help: "Prefix of channel names that need a subscription token; empty = none.",
	}),
	channelNamespaceBoundary: option({
		flag: "channel-namespace-boundary",
		key: "namespace_boundary",
		kind: mark(),
		default: ":",
		live: true,
		help: "Separator between namespace and name; empty = there are no namespaces.",
	}),
	channelUserBoundary: option({
		flag: "channel-user-boundary",
		key: "user_boundary",
		kind: mark(),
		default: "#",
		live: true,
		help: "Separator before the list of users in the name of a user-limited channel (allow_user_limited_channels of its namespace); empty = there are no such channels.",
	}),
	channelUserSeparator: option({
		flag: "channel-user-separator",
		key: "user_separator",
		kind: mark(),
		default: ",",
		live: true,
		help: "Separator between those users; empty = one user only.",
	}),
} as const;

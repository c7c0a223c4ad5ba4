import { parseBroker } from "../../../kafka/broker.ts";
import { parseTemplate } from "../../../kafka/channel-template.ts";
import { isTopicName, parseSubscription } from "../../../kafka/subscription.ts";
import { checkedText, choice, duration, integer, list, pemFile, secret, size, text, toggle } from "../../kinds.ts";
import { option } from "../../option.ts";

const anything = /^/;
const topic = (value: string) => {
	if (value !== "" && !isTopicName(value))
		throw new RangeError("is not a topic name: letters, digits, dots, dashes and underscores, 249 at most");
};

/** Section `kafka`. */
export const kafkaOptions = {
	kafkaBrokers: option({
		flag: "kafka-brokers",
		key: "brokers",
		kind: list({ argument: "<list>", item: parseBroker }),
		default: [],
		help: "Bootstrap brokers, such as kafka-1:9092,kafka-2:9092; none = no Kafka.",
	}),
	kafkaTopics: option({
		flag: "kafka-topics",
		key: "topics",
		kind: checkedText({ argument: "<list>", check: parseSubscription }),
		default: "",
		help: "Topics to deliver, by name or as /regular expression/, such as orders,/ticks\\..+/.",
	}),
	kafkaMessageTopics: option({
		flag: "kafka-message-topics",
		key: "message_topics",
		kind: checkedText({ argument: "<list>", check: parseSubscription }),
		default: "",
		help: "Topics to deliver, like --kafka-topics, whose records may say in headers to whom they go, their type and their priority. Who can write to them can reach every user and channel.",
	}),
	kafkaGroup: option({
		flag: "kafka-group",
		key: "group",
		kind: text({
			argument: "<name>",
			matches: /^[\w.-]{1,200}$/,
			expected: "a group name: letters, digits, dots, dashes and underscores, 200 at most",
		}),
		default: "shardcast",
		help: "Consumer group for committed offsets; shard i commits as <name>-i, in shared mode all shards as <name>. With Redis the node id is added: <name>-<node>-i and <name>-<node>.",
	}),
	kafkaMode: option({
		flag: "kafka-mode",
		key: "mode",
		kind: choice(["per-shard", "shared"]),
		default: "per-shard",
		help: "Which shard reads: per-shard = each shard reads everything for its clients; shared = one shard reads each partition for all shards, with Redis for those of all nodes.",
	}),
	kafkaFrom: option({
		flag: "kafka-from",
		key: "from",
		kind: choice(["latest", "committed", "earliest"]),
		default: "latest",
		help: "Where a new cluster starts to read; committed = at the group's committed offsets, or latest if there are none.",
	}),
	kafkaTls: option({
		flag: "kafka-tls",
		key: "tls.enabled",
		kind: toggle(),
		default: false,
		help: "Connect to the brokers with TLS.",
	}),
	kafkaTlsCa: option({
		flag: "kafka-tls-ca",
		key: "tls.ca",
		kind: pemFile(),
		default: "",
		help: "PEM file of the CA that signed the brokers' certificates; none = the CAs that Node trusts.",
	}),
	kafkaTlsCert: option({
		flag: "kafka-tls-cert",
		key: "tls.cert",
		kind: pemFile(),
		default: "",
		help: "PEM file of the client certificate, for brokers that require one.",
	}),
	kafkaTlsKey: option({
		flag: "kafka-tls-key",
		key: "tls.key",
		kind: pemFile(),
		default: "",
		help: "PEM file of that certificate's key.",
	}),
	kafkaTlsVerify: option({
		flag: "kafka-tls-verify",
		key: "tls.verify",
		kind: toggle(),
		default: true,
		help: "Verify the brokers' certificates; without this, anyone on the network path can read the traffic.",
	}),
	kafkaSasl: option({
		flag: "kafka-sasl",
		key: "sasl.mechanism",
		kind: choice(["none", "plain", "scram-sha-256", "scram-sha-512"]),
		default: "none",
		help: "SASL mechanism for the brokers.",
	}),
	kafkaUsername: option({
		flag: "kafka-username",
		key: "sasl.username",
		kind: text({ argument: "<name>", matches: anything, expected: "a name" }),
		default: "",
		help: "SASL user name.",
	}),
	kafkaPassword: option({
		flag: "kafka-password",
		key: "sasl.password",
		kind: secret({ argument: "<password>", charactersMin: 1 }),
		default: undefined,
		help: "SASL password; set it in the environment, where ps does not show it.",
	}),
	kafkaChannel: option({
		flag: "kafka-channel",
		key: "channel",
		kind: checkedText({ argument: "<template>", check: parseTemplate }),
		default: "{topic}",
		help: "Channel of a record, made from {topic}, {key}, {partition} and {header:name}, such as {key}.{topic}; * = all clients.",
	}),
	kafkaRoute: option({
		flag: "kafka-route",
		key: "route",
		kind: text({ argument: "<module>", matches: anything, expected: "a file" }),
		default: "",
		help: "JavaScript module whose default export chooses the channels of each record, in place of --kafka-channel; SIGHUP reloads it.",
	}),
	kafkaRouteBudgetMs: option({
		flag: "kafka-route-budget",
		key: "route_budget",
		kind: duration({ minMs: 10, maxMs: 60_000 }),
		default: 1000,
		help: "Maximum time for the route function per record; a record that takes longer is not delivered.",
	}),
	kafkaFormat: option({
		flag: "kafka-format",
		key: "format",
		kind: choice(["text", "json", "binary"]),
		default: "text",
		help: "Format of record values: text and json are validated and sent as text frames, binary is sent as it is.",
	}),
	kafkaDeadLetter: option({
		flag: "kafka-dead-letter",
		key: "dead_letter",
		kind: checkedText({ argument: "<topic>", check: topic }),
		default: "",
		help: "Topic for records that can't be delivered; shardcast never reads it; none = such records are only counted and logged.",
	}),
	kafkaMetadataAgeMs: option({
		flag: "kafka-metadata-age",
		key: "metadata_age",
		kind: duration({ minMs: 100, maxMs: 300_000 }),
		default: 3000,
		help: "How often to look for new topics, partitions and leaders.",
	}),
	kafkaCommitIntervalMs: option({
		flag: "kafka-commit-interval",
		key: "commit_interval",
		kind: duration({ minMs: 50, maxMs: 300_000 }),
		default: 1000,
		help: "How often offsets of delivered records are committed.",
	}),
	kafkaRecoveryLimit: option({
		flag: "kafka-recovery-limit",
		key: "recovery.limit",
		kind: integer({ min: 0, max: 1_000_000 }),
		default: 300,
		help: "Maximum number of missed records per channel that are read from Kafka for a returning client, if the memory no longer has them; 0 = none.",
	}),
	kafkaRecoveryReads: option({
		flag: "kafka-recovery-reads",
		key: "recovery.reads",
		kind: integer({ min: 1, max: 64 }),
		default: 2,
		help: "Maximum number of partitions that a shard reads at once for such clients. One read serves all clients that wait for it.",
	}),
	kafkaRecoveryTimeoutMs: option({
		flag: "kafka-recovery-timeout",
		key: "recovery.timeout",
		kind: duration({ minMs: 100, maxMs: 60_000 }),
		default: 4000,
		help: "Maximum time of one such read. SDKs wait five seconds for the reply.",
	}),
	kafkaRecoveryMemoryBytes: option({
		flag: "kafka-recovery-memory",
		key: "recovery.memory",
		kind: size({ minBytes: 1_048_576, maxBytes: 8_589_934_592 }),
		default: 67_108_864,
		help: "Memory per shard for records read for such clients, which share them; replies in flight may use as much again.",
	}),
	publishVia: option({
		flag: "publish-via",
		key: "publish_via",
		kind: choice(["direct", "kafka"]),
		default: "direct",
		help: "How messages of clients and of POST /api/publish are published: direct = on the bus; kafka = written to Kafka, from which every node reads them.",
	}),
	kafkaPublishTopic: option({
		flag: "kafka-publish-topic",
		key: "publish_topic",
		kind: checkedText({ argument: "<topic>", check: topic }),
		default: "",
		help: "Topic for --publish-via kafka, which is written and read.",
	}),
} as const;

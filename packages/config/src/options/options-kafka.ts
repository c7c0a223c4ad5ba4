import { parseBroker } from "../kafka/broker.ts";
import { parseTemplate } from "../kafka/channel-template.ts";
import { isTopicName, parseSubscription } from "../kafka/subscription.ts";
import { checkedText, choice, duration, integer, list, secret, text, toggle } from "./kinds.ts";
import { option } from "./option.ts";

const anything = /^/;
const topic = (value: string) => {
	if (value !== "" && !isTopicName(value))
		throw new RangeError("is no topic name: letters, digits, dots, dashes and underscores, 249 at most");
};

/** Section `kafka`. */
export const kafkaOptions = {
	kafkaBrokers: option({
		flag: "kafka-brokers",
		key: "brokers",
		kind: list({ argument: "<list>", item: parseBroker }),
		default: [],
		help: "Brokers to begin with, such as kafka-1:9092,kafka-2:9092; none = no Kafka.",
	}),
	kafkaTopics: option({
		flag: "kafka-topics",
		key: "topics",
		kind: checkedText({ argument: "<list>", check: parseSubscription }),
		default: "",
		help: "Topics to deliver, by name or as /regular expression/, such as orders,/ticks\\..+/.",
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
		help: "Consumer group under which offsets are committed; shard i commits as <name>-i, in shared mode all as <name>. One per node.",
	}),
	kafkaMode: option({
		flag: "kafka-mode",
		key: "mode",
		kind: choice(["per-shard", "shared"]),
		default: "per-shard",
		help: "Who reads: per-shard = each shard everything, for its own clients; shared = each partition one shard, for all over the bus.",
	}),
	kafkaFrom: option({
		flag: "kafka-from",
		key: "from",
		kind: choice(["latest", "committed", "earliest"]),
		default: "latest",
		help: "Where a new cluster begins to read; committed = where the group's commits are, else latest.",
	}),
	kafkaTls: option({
		flag: "kafka-tls",
		key: "tls.enabled",
		kind: toggle(),
		default: false,
		help: "Connect to the brokers by TLS.",
	}),
	kafkaTlsCa: option({
		flag: "kafka-tls-ca",
		key: "tls.ca",
		kind: text({ argument: "<file>", matches: anything, expected: "a file" }),
		default: "",
		help: "PEM file of the authority that signed the brokers' certificates; none = those that Node knows.",
	}),
	kafkaTlsCert: option({
		flag: "kafka-tls-cert",
		key: "tls.cert",
		kind: text({ argument: "<file>", matches: anything, expected: "a file" }),
		default: "",
		help: "PEM file of our own certificate, for brokers that ask for one.",
	}),
	kafkaTlsKey: option({
		flag: "kafka-tls-key",
		key: "tls.key",
		kind: text({ argument: "<file>", matches: anything, expected: "a file" }),
		default: "",
		help: "PEM file of that certificate's key.",
	}),
	kafkaTlsVerify: option({
		flag: "kafka-tls-verify",
		key: "tls.verify",
		kind: toggle(),
		default: true,
		help: "Check the brokers' certificates; switched off, anybody in between can read along.",
	}),
	kafkaSasl: option({
		flag: "kafka-sasl",
		key: "sasl.mechanism",
		kind: choice(["none", "plain", "scram-sha-256", "scram-sha-512"]),
		default: "none",
		help: "How to log in to the brokers.",
	}),
	kafkaUsername: option({
		flag: "kafka-username",
		key: "sasl.username",
		kind: text({ argument: "<name>", matches: anything, expected: "a name" }),
		default: "",
		help: "Name to log in with.",
	}),
	kafkaPassword: option({
		flag: "kafka-password",
		key: "sasl.password",
		kind: secret({ argument: "<password>", charactersMin: 1 }),
		default: undefined,
		help: "Password to log in with; better given in the environment, where ps does not show it.",
	}),
	kafkaChannel: option({
		flag: "kafka-channel",
		key: "channel",
		kind: checkedText({ argument: "<template>", check: parseTemplate }),
		default: "{topic}",
		help: "Channel of a record, from {topic}, {key}, {partition} and {header:name}, such as {key}.{topic}; * = everybody.",
	}),
	kafkaRoute: option({
		flag: "kafka-route",
		key: "route",
		kind: text({ argument: "<module>", matches: anything, expected: "a file" }),
		default: "",
		help: "JavaScript module whose default export chooses the channels of each record, in place of the template; SIGHUP reads it again.",
	}),
	kafkaRouteBudgetMs: option({
		flag: "kafka-route-budget",
		key: "route_budget",
		kind: duration({ minMs: 10, maxMs: 60_000 }),
		default: 1000,
		help: "Longest that the route function may take over one record, which is not delivered then.",
	}),
	kafkaFormat: option({
		flag: "kafka-format",
		key: "format",
		kind: choice(["text", "json", "binary"]),
		default: "text",
		help: "What values are: text and JSON go out as text frames and are checked, binary goes out as it is.",
	}),
	kafkaDeadLetter: option({
		flag: "kafka-dead-letter",
		key: "dead_letter",
		kind: checkedText({ argument: "<topic>", check: topic }),
		default: "",
		help: "Topic for records that can't be delivered, which is itself never read; none = they are only counted and logged.",
	}),
	kafkaMetadataAgeMs: option({
		flag: "kafka-metadata-age",
		key: "metadata_age",
		kind: duration({ minMs: 100, maxMs: 300_000 }),
		default: 3000,
		help: "How soon new topics, partitions and leaders are found.",
	}),
	kafkaCommitIntervalMs: option({
		flag: "kafka-commit-interval",
		key: "commit_interval",
		kind: duration({ minMs: 50, maxMs: 300_000 }),
		default: 1000,
		help: "How often offsets are committed, up to what was delivered.",
	}),
	kafkaPauseCpu: option({
		flag: "kafka-pause-cpu",
		key: "pause_cpu",
		kind: integer({ min: 0, max: 100 }),
		default: 0,
		help: "CPU load in percent (of the container's quota, else of the CPUs) above which reading from Kafka pauses, until it is 10 lower; 0 = never.",
	}),
	publishVia: option({
		flag: "publish-via",
		key: "publish_via",
		kind: choice(["direct", "kafka"]),
		default: "direct",
		help: "Where messages of clients and of POST /api/publish go: onto the bus, or to Kafka first, to come back from there on every node.",
	}),
	kafkaPublishTopic: option({
		flag: "kafka-publish-topic",
		key: "publish_topic",
		kind: checkedText({ argument: "<topic>", check: topic }),
		default: "",
		help: "Topic that they are written to, and read from, with --publish-via kafka.",
	}),
} as const;

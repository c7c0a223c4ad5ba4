import { parseTemplate } from "../kafka/channel-template.ts";
import { isTopicName, parseSubscription } from "../kafka/subscription.ts";
import { checkedText, choice, duration, integer, list, secret, text, toggle } from "./option.ts";

const anything = /^/;
const topic = (value: string) => {
	if (value !== "" && !isTopicName(value))
		throw new RangeError("is no topic name: letters, digits, dots, dashes and underscores, 249 at most");
};

/** Where events come from and go to by way of Kafka. Without brokers none of it is used. */
export const kafkaOptions = {
	kafkaBrokers: list({
		flag: "kafka-brokers",
		default: [],
		argument: "<list>",
		help: "Brokers to begin with, such as kafka-1:9092,kafka-2:9092; none = no Kafka.",
	}),
	kafkaTopics: checkedText({
		flag: "kafka-topics",
		default: "",
		argument: "<list>",
		check: parseSubscription,
		help: "Topics to deliver, by name or as /regular expression/, such as orders,/ticks\\..+/.",
	}),
	kafkaGroup: text({
		flag: "kafka-group",
		default: "shardcast",
		argument: "<name>",
		matches: /^[\w.-]{1,200}$/,
		expected: "a group name: letters, digits, dots, dashes and underscores, 200 at most",
		help: "Consumer group under which offsets are committed; shard i commits as <name>-i, in shared mode all as <name>. One per node.",
	}),
	kafkaMode: choice({
		flag: "kafka-mode",
		default: "per-shard",
		choices: ["per-shard", "shared"],
		help: "Who reads: per-shard = each shard everything, for its own clients; shared = each partition one shard, for all over the bus.",
	}),
	kafkaFrom: choice({
		flag: "kafka-from",
		default: "latest",
		choices: ["latest", "committed", "earliest"],
		help: "Where a new cluster begins to read; committed = where the group's commits are, else latest.",
	}),
	kafkaSsl: toggle({ flag: "kafka-ssl", default: false, help: "Connect to the brokers by TLS." }),
	kafkaSslCa: text({
		flag: "kafka-ssl-ca",
		default: "",
		argument: "<file>",
		matches: anything,
		expected: "a file",
		help: "PEM file of the authority that signed the brokers' certificates; none = those that Node knows.",
	}),
	kafkaSslCert: text({
		flag: "kafka-ssl-cert",
		default: "",
		argument: "<file>",
		matches: anything,
		expected: "a file",
		help: "PEM file of our own certificate, for brokers that ask for one.",
	}),
	kafkaSslKey: text({
		flag: "kafka-ssl-key",
		default: "",
		argument: "<file>",
		matches: anything,
		expected: "a file",
		help: "PEM file of that certificate's key.",
	}),
	kafkaSslVerify: toggle({
		flag: "kafka-ssl-verify",
		default: true,
		help: "Check the brokers' certificates; switched off, anybody in between can read along.",
	}),
	kafkaSasl: choice({
		flag: "kafka-sasl",
		default: "none",
		choices: ["none", "plain", "scram-sha-256", "scram-sha-512"],
		help: "How to log in to the brokers.",
	}),
	kafkaUsername: text({
		flag: "kafka-username",
		default: "",
		argument: "<name>",
		matches: anything,
		expected: "a name",
		help: "Name to log in with.",
	}),
	kafkaPassword: secret({
		flag: "kafka-password",
		default: undefined,
		argument: "<password>",
		charactersMin: 1,
		help: "Password to log in with; better given in the environment, where ps does not show it.",
	}),
	kafkaChannel: checkedText({
		flag: "kafka-channel",
		default: "{topic}",
		argument: "<template>",
		check: parseTemplate,
		help: "Channel of a record, from {topic}, {key}, {partition} and {header:name}, such as {key}.{topic}; * = everybody.",
	}),
	kafkaRoute: text({
		flag: "kafka-route",
		default: "",
		argument: "<module>",
		matches: anything,
		expected: "a file",
		help: "JavaScript module whose default export chooses the channels of each record, in place of the template; SIGHUP reads it again.",
	}),
	kafkaRouteBudgetMs: duration({
		flag: "kafka-route-budget",
		default: 1000,
		minMs: 10,
		maxMs: 60_000,
		help: "Longest that the route function may take over one record, which is not delivered then.",
	}),
	kafkaFormat: choice({
		flag: "kafka-format",
		default: "text",
		choices: ["text", "json", "binary"],
		help: "What values are: text and JSON go out as text frames and are checked, binary goes out as it is.",
	}),
	kafkaDeadLetter: checkedText({
		flag: "kafka-dead-letter",
		default: "",
		argument: "<topic>",
		check: topic,
		help: "Topic for records that can't be delivered, which is itself never read; none = they are only counted and logged.",
	}),
	kafkaMetadataAgeMs: duration({
		flag: "kafka-metadata-age",
		default: 3000,
		minMs: 100,
		maxMs: 300_000,
		help: "How soon new topics, partitions and leaders are found.",
	}),
	kafkaCommitIntervalMs: duration({
		flag: "kafka-commit-interval",
		default: 1000,
		minMs: 50,
		maxMs: 300_000,
		help: "How often offsets are committed, up to what was delivered.",
	}),
	kafkaPauseCpu: integer({
		flag: "kafka-pause-cpu",
		default: 0,
		min: 0,
		max: 100,
		help: "CPU load in percent (of the container's quota, else of the CPUs) above which reading from Kafka pauses, until it is 10 lower; 0 = never.",
	}),
	publishVia: choice({
		flag: "publish-via",
		default: "direct",
		choices: ["direct", "kafka"],
		help: "Where messages of clients and of POST /api/publish go: onto the bus, or to Kafka first, to come back from there on every node.",
	}),
	kafkaPublishTopic: checkedText({
		flag: "kafka-publish-topic",
		default: "",
		argument: "<topic>",
		check: topic,
		help: "Topic that they are written to, and read from, with --publish-via kafka.",
	}),
} as const;

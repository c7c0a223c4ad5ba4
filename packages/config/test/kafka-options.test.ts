import { describe, expect, it } from "vitest";
import { kafkaLine } from "../src/kafka/kafka-line.ts";
import { parseSubscription, topicMatcher } from "../src/kafka/subscription.ts";
import { ConfigError } from "../src/load/config-error.ts";
import { defaultConfig, loadConfig } from "../src/load/load.ts";
import { type Config, type ConfigKey, optionOf } from "../src/options/options.ts";

function mistakes(flags: Partial<Record<ConfigKey, unknown>>): readonly string[] {
	const found = (Object.entries({ kafkaBrokers: "127.0.0.1:9092", ...flags }) as [ConfigKey, unknown][]).map(([key, raw]) => {
		return [key, { raw, layer: { kind: "flag", name: `--${optionOf(key).flag}` } }] as const;
	});
	try {
		loadConfig({ flags: new Map(found) });
		return [];
	} catch (error) {
		if (error instanceof ConfigError) return error.lines;
		throw error;
	}
}

describe("options of Kafka", () => {
	it("a topic of dead letters that is read by its name is refused: a bad record would be written again without end", () => {
		const line = (reads: string) =>
			`--kafka-dead-letter: dead is read as well (${reads}), so a bad record would be read and written again without end; name another topic`;
		expect(mistakes({ kafkaTopics: "orders,dead", kafkaDeadLetter: "dead" })).toEqual([line("--kafka-topics")]);
		const publishing = { publishVia: "kafka", kafkaPublishTopic: "dead", kafkaDeadLetter: "dead" };
		expect(mistakes(publishing)).toEqual([line("--kafka-publish-topic")]);
		expect(mistakes({ kafkaMessageTopics: "dead", kafkaDeadLetter: "dead" })).toEqual([line("--kafka-message-topics")]);
		expect(mistakes({ kafkaTopics: "/.+/", kafkaDeadLetter: "dead" })).toEqual([]);
		expect(mistakes({ kafkaTopics: "orders", kafkaDeadLetter: "dead" })).toEqual([]);
	});
});

describe("topics whose records may have headers", () => {
	it("are read, so they are enough; they need brokers", () => {
		expect(mistakes({ kafkaMessageTopics: "notices" })).toEqual([]);
		expect(mistakes({ kafkaMessageTopics: "notices", kafkaBrokers: "" })).toEqual([
			"--kafka-message-topics: there are no brokers; name them with --kafka-brokers",
		]);
		const config = defaultConfig({ kafkaBrokers: ["127.0.0.1:9092"], kafkaTopics: "ticks", kafkaMessageTopics: "notices" });
		expect(kafkaLine(config, 1)).toContain("reads ticks,notices from");
	});
});

describe("consumer groups", () => {
	const line = (flags: Partial<Config>, shards: number) =>
		kafkaLine(defaultConfig({ kafkaBrokers: ["127.0.0.1:9092"], kafkaTopics: "t", ...flags }), shards);

	it("of several nodes have the node id in their names, so that no node commits over the offsets of another", () => {
		const node = { redisAddress: "redis://127.0.0.1", nodeId: "n1" };
		expect(line({}, 2)).toContain("group shardcast-0 to shardcast-1;");
		expect(line(node, 2)).toContain("group shardcast-n1-0 to shardcast-n1-1;");
		expect(line({ ...node, kafkaMode: "shared", kafkaGroup: "g" }, 2)).toContain("group g-n1;");
		expect(line({ nodeId: "n1", kafkaMode: "shared" }, 2)).toContain("group shardcast;");
	});
});

describe("brokers", () => {
	it.each([
		["127.0.0.1", "has a broker without a port, 127.0.0.1; write 127.0.0.1:9092"],
		["127.0.0.1:99999", "has the port 99999 in 127.0.0.1:99999; ports go from 1 to 65535"],
		["k:0", "has the port 0 in k:0; ports go from 1 to 65535"],
		[":9092", "has a broker without a host, :9092; write, for example, kafka-1:9092"],
		["kafka://k:9092", "has kafka://k:9092, which is not a host and port; write, for example, kafka-1:9092"],
		["k:9092/x", "has k:9092/x, which is not a host and port; write, for example, kafka-1:9092"],
		["[::1]:9092", "has the IPv6 address [::1]:9092, which can't be used here; name the broker by its host name"],
		["300.1.1.1:9092", "has 300.1.1.1:9092, whose host is no IPv4 address; correct it"],
	])("%s is refused", (brokers, why) => {
		expect(mistakes({ kafkaBrokers: brokers, kafkaTopics: "t" })).toEqual([`--kafka-brokers: "${brokers}" ${why}`]);
	});

	it("each wrong one, and each wrong topic, has its line", () => {
		expect(mistakes({ kafkaBrokers: "a,b:9092,c", kafkaTopics: "good,b@d,/(/" })).toEqual([
			expect.stringContaining("without a port, a;"),
			expect.stringContaining("without a port, c;"),
			expect.stringContaining('has "b@d", which'),
			expect.stringContaining("has a pattern that is not a regular expression"),
		]);
		expect(mistakes({ kafkaBrokers: ["kafka-1.example:9092", "127.0.0.1:1", "a_b:65535"], kafkaTopics: "t" })).toEqual([]);
	});
});

describe("a subscription", () => {
	const reads = (list: string, excluded: readonly string[] = []) => topicMatcher({ ...parseSubscription(list), excluded });

	it("matches its names, what its patterns match as a whole, and none of Kafka's own topics", () => {
		const matches = reads("orders,/ticks\\..+/");
		expect(["orders", "ticks.btc"].map(matches)).toEqual([true, true]);
		expect(["orders2", "ticks.", "my.ticks.btc", "__consumer_offsets"].map(matches)).toEqual([false, false, false, false]);
		expect(reads("/.+/")("__consumer_offsets")).toBe(false);
	});

	it("leaves out what is excluded, whatever a pattern matches", () => {
		const matches = reads("/orders.*/", ["orders.dead"]);
		expect(["orders", "orders.dead", "orders.dead2"].map(matches)).toEqual([true, false, true]);
	});
});

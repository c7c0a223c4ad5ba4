import { describe, expect, it } from "vitest";
import { matcherOf, parseSubscription } from "../src/kafka/subscription.ts";
import { ConfigError } from "../src/load/config-error.ts";
import { loadConfig } from "../src/load/load.ts";
import { type ConfigKey, optionOf } from "../src/options/options.ts";

function mistakes(flags: Partial<Record<ConfigKey, unknown>>): readonly string[] {
	const found = (Object.entries({ kafkaBrokers: "127.0.0.1:9092", ...flags }) as [ConfigKey, unknown][]).map(([key, raw]) => {
		return [key, { raw, source: { kind: "flag", name: `--${optionOf(key).flag}` } }] as const;
	});
	try {
		loadConfig({ flags: new Map(found) });
		return [];
	} catch (error) {
		if (error instanceof ConfigError) return error.lines;
		throw error;
	}
}

describe("settings of Kafka", () => {
	it("a topic of dead letters that is read by its name is refused: a bad record would be written again without end", () => {
		const line = (reads: string) =>
			`--kafka-dead-letter: dead is read as well (${reads}), so a bad record would be read and written again without end; name another topic`;
		expect(mistakes({ kafkaTopics: "orders,dead", kafkaDeadLetter: "dead" })).toEqual([line("--kafka-topics")]);
		const publishing = { publishVia: "kafka", kafkaPublishTopic: "dead", kafkaDeadLetter: "dead" };
		expect(mistakes(publishing)).toEqual([line("--kafka-publish-topic")]);
		expect(mistakes({ kafkaTopics: "/.+/", kafkaDeadLetter: "dead" })).toEqual([]);
		expect(mistakes({ kafkaTopics: "orders", kafkaDeadLetter: "dead" })).toEqual([]);
	});
});

describe("a subscription", () => {
	const reads = (list: string, excluded: readonly string[] = []) => matcherOf({ ...parseSubscription(list), excluded });

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

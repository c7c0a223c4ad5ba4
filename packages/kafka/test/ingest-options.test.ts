import { defaultConfig } from "@shardcast/config";
import { describe, expect, it } from "vitest";
import { ingestOptions } from "../src/ingest-options.ts";

it("topics are read whichever option names them, and it is known which", () => {
	const topics = { kafkaTopics: "a,/b.*/,both", kafkaMessageTopics: "both,c", kafkaPublishTopic: "d" };
	const config = defaultConfig({ kafkaBrokers: ["127.0.0.1:1"], ...topics });
	const { subscription, topicOptions } = ingestOptions(config, { slot: 1, shardsTotal: 2, cluster: "c" })!;
	expect(subscription.names).toEqual(["a", "both", "c", "d"]);
	expect(topicOptions).toEqual([
		["--kafka-topics", ["a", "both"]],
		["--kafka-message-topics", ["both", "c"]],
		["--kafka-publish-topic", ["d"]],
	]);
});

describe("groups under which a shard commits, and from which it starts", () => {
	const of = (nodeId: string, kafkaMode: "per-shard" | "shared") => {
		const config = defaultConfig({ kafkaBrokers: ["127.0.0.1:1"], kafkaTopics: "t", redisAddress: "redis://127.0.0.1", nodeId, kafkaMode });
		const { group, groupsToStartFrom } = ingestOptions(config, { slot: 1, shardsTotal: 2, cluster: "c" })!;
		return { group, groupsToStartFrom };
	};

	it("are those of its node only", () => {
		expect(of("n1", "per-shard")).toEqual({ group: "shardcast-n1-1", groupsToStartFrom: ["shardcast-n1-0", "shardcast-n1-1"] });
		expect(of("n2", "per-shard")).toEqual({ group: "shardcast-n2-1", groupsToStartFrom: ["shardcast-n2-0", "shardcast-n2-1"] });
		expect(of("n2", "shared")).toEqual({ group: "shardcast-n2", groupsToStartFrom: ["shardcast-n2"] });
	});
});

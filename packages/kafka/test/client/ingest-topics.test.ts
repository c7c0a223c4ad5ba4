import { describe, expect, it } from "vitest";
import type { KafkajsCluster } from "../../src/client/kafkajs-cluster.ts";
import { TopicFinder } from "../../src/client/topic-finder.ts";
import type { TopicMetadata } from "../../src/protocol/metadata-protocol.ts";

/** What a broker says next: names with ids, undefined = one that tells no ids. */
class Rig {
	says: Record<string, string | undefined> = {};
	readonly recreated: string[] = [];
	readonly finder: TopicFinder;

	constructor(...names: string[]) {
		const cluster = {
			targetTopics: new Set<string>(),
			refreshMetadata: async () => {},
			brokerPool: { metadata: { topicMetadata: [] as TopicMetadata[] } },
		};
		Object.defineProperty(cluster.brokerPool, "metadata", {
			get: () => ({
				topicMetadata: Object.entries(this.says).map(([topic, topicId]) => ({
					topic,
					...(topicId === undefined ? {} : { topicId }),
					topicErrorCode: 0,
					partitionMetadata: [{ partitionId: 0, leader: 1, partitionErrorCode: 0 }],
				})),
			}),
		});
		this.finder = new TopicFinder(
			cluster as unknown as KafkajsCluster,
			(topic) => names.includes(topic),
			{ names, patterns: [], excluded: [] },
			{
				onRecreated: (topic) => this.recreated.push(topic),
			},
		);
	}

	async ids(): Promise<Record<string, string | null>> {
		const { topics } = await this.finder.find();
		return Object.fromEntries(topics.map(({ topic, topicId }) => [topic, topicId]));
	}
}

describe("TopicFinder", () => {
	it("tells once that a topic was recreated, whether or not it was seen to be gone in between", async () => {
		const rig = new Rig("a", "b");
		rig.says = { a: "1", b: "2" };
		expect(await rig.ids()).toEqual({ a: "1", b: "2" });
		rig.says = { a: "3", b: "2" };
		expect(await rig.ids()).toEqual({ a: "3", b: "2" });
		expect(await rig.ids()).toEqual({ a: "3", b: "2" });
		expect(rig.recreated).toEqual(["a"]);
		rig.says = { a: "3" };
		expect(await rig.ids()).toEqual({ a: "3" });
		rig.says = { a: "3", b: "4" };
		expect(await rig.ids()).toEqual({ a: "3", b: "4" });
		expect(rig.recreated).toEqual(["a", "b"]);
	});

	it("a broker that is behind the others, or knows no ids, makes no topic a recreated one", async () => {
		const rig = new Rig("a");
		rig.says = { a: "1" };
		await rig.ids();
		rig.says = { a: "2" };
		await rig.ids();
		rig.says = { a: "1" };
		expect(await rig.ids()).toEqual({ a: "1" });
		rig.says = { a: "2" };
		expect(await rig.ids()).toEqual({ a: "2" });
		rig.says = { a: undefined };
		expect(await rig.ids()).toEqual({ a: "2" });
		expect(rig.recreated).toEqual(["a"]);
	});

	it("without ids a topic is its name", async () => {
		const rig = new Rig("a");
		rig.says = { a: undefined };
		expect(await rig.ids()).toEqual({ a: null });
		expect(rig.recreated).toEqual([]);
	});
});

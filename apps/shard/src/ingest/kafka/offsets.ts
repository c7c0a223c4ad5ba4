import type { PartitionWithOffset, SourcePartition, StartPolicy } from "../source.ts";
import type { KafkajsCluster } from "./kafkajs-cluster.ts";
import { partitionKey } from "./partition-state.ts";

/** What Kafka calls a simple consumer: it commits under a group's name without being a member of it. */
const simpleConsumer = { groupGenerationId: -1, memberId: "" } as const;

function byTopic<T extends { topic: string }, P>(items: readonly T[], each: (item: T) => P): { topic: string; partitions: P[] }[] {
	const topics = new Map<string, P[]>();
	for (const item of items) {
		const same = topics.get(item.topic);
		if (same === undefined) topics.set(item.topic, [each(item)]);
		else same.push(each(item));
	}
	return [...topics].map(([topic, partitions]) => ({ topic, partitions }));
}

/** Lowest commit of the groups for each partition; partitions without one are missing. */
async function committed(cluster: KafkajsCluster, groups: readonly string[], partitions: readonly SourcePartition[]) {
	const lowest = new Map<string, number>();
	for (const groupId of groups) {
		const coordinator = await cluster.findGroupCoordinator({ groupId });
		const { responses } = await coordinator.offsetFetch({ groupId, topics: byTopic(partitions, ({ partition }) => ({ partition })) });
		for (const { topic, partitions: answers } of responses)
			for (const { partition, offset } of answers) {
				if (Number(offset) < 0) continue;
				const key = partitionKey(topic, partition);
				lowest.set(key, Math.min(lowest.get(key) ?? Number.POSITIVE_INFINITY, Number(offset)));
			}
	}
	return lowest;
}

/**
 * Where each partition begins by its policy. `committed` without a commit begins at the latest, unless other partitions of the
 * topic have one: then this one was added since, and all of it is new.
 */
export async function findOffsets(
	cluster: KafkajsCluster,
	groups: readonly string[],
	partitions: readonly (SourcePartition & { readonly from: StartPolicy })[],
): Promise<PartitionWithOffset[]> {
	const offsets = new Map<string, number>();
	const fromCommit = partitions.filter(({ from }) => from === "committed");
	if (fromCommit.length > 0) for (const [key, offset] of await committed(cluster, groups, fromCommit)) offsets.set(key, offset);
	const known = new Set(fromCommit.filter((of) => offsets.has(partitionKey(of.topic, of.partition))).map(({ topic }) => topic));

	for (const fromBeginning of [true, false]) {
		const wanted = partitions.filter(({ topic, partition, from }) => {
			if (offsets.has(partitionKey(topic, partition))) return false;
			return (from === "earliest" || (from === "committed" && known.has(topic))) === fromBeginning;
		});
		if (wanted.length === 0) continue;
		const topics = byTopic(wanted, ({ partition }) => ({ partition })).map((of) => ({ ...of, fromBeginning }));
		for (const { topic, partitions: answers } of await cluster.fetchTopicsOffset(topics))
			for (const { partition, offset } of answers) offsets.set(partitionKey(topic, partition), Number(offset));
	}
	return partitions.map(({ row, topic, partition }) => {
		const offset = offsets.get(partitionKey(topic, partition));
		if (offset === undefined) throw new Error(`the broker gave no offset for ${topic} partition ${partition}`);
		return { row, topic, partition, offset };
	});
}

export async function commitOffsets(cluster: KafkajsCluster, groupId: string, offsets: readonly PartitionWithOffset[]): Promise<void> {
	if (offsets.length === 0) return;
	const coordinator = await cluster.findGroupCoordinator({ groupId });
	const topics = byTopic(offsets, ({ partition, offset }) => ({ partition, offset: String(offset) }));
	await coordinator.offsetCommit({ groupId, ...simpleConsumer, topics });
}

import type { PartitionWithOffset, SourcePartition, StartPolicy } from "../source.ts";
import { type Commit, commitText, parseCommitText, validCommit } from "./commit-text.ts";
import { grouped } from "./grouped.ts";
import type { KafkajsCluster } from "./kafkajs-cluster.ts";

/** What Kafka calls a simple consumer: it commits under a group's name without being a member of it. */
const simpleConsumer = { groupGenerationId: -1, memberId: "" } as const;

type NamedPartition = Pick<SourcePartition, "topic" | "partition">;

/** These requests go by name, as kafkajs has them. */
function nameOf({ topic, partition }: NamedPartition): string {
	return `${topic}/${partition}`;
}

function byTopic<T extends { topic: string }, P>(items: readonly T[], each: (item: T) => P): { topic: string; partitions: P[] }[] {
	return [...grouped(items, ({ topic }) => topic)].map(([topic, same]) => ({ topic, partitions: same.map(each) }));
}

/** The commits of each partition, in the order of the groups. */
async function commitsOf(cluster: KafkajsCluster, groups: readonly string[], partitions: readonly NamedPartition[]) {
	const commits = new Map<string, Commit[]>();
	for (const groupId of groups) {
		const coordinator = await cluster.findGroupCoordinator({ groupId });
		const { responses } = await coordinator.offsetFetch({ groupId, topics: byTopic(partitions, ({ partition }) => ({ partition })) });
		for (const { topic, partitions: answers } of responses)
			for (const { partition, offset, metadata } of answers) {
				if (Number(offset) < 0) continue;
				const name = nameOf({ topic, partition });
				commits.set(name, [...(commits.get(name) ?? []), { offset: Number(offset), ...parseCommitText(metadata ?? "") }]);
			}
	}
	return commits;
}

/**
 * Where each partition begins by its policy; those that have no leader at present are missing. `committed` without a commit begins at
 * the latest, unless other partitions of the topic have one, or this one has one from another topic of that name: then it was made
 * since, and all of it is new.
 */
export async function findOffsets(
	cluster: KafkajsCluster,
	groups: readonly string[],
	partitions: readonly (SourcePartition & { readonly from: StartPolicy })[],
): Promise<PartitionWithOffset[]> {
	const offsets = new Map<string, number>();
	const fromCommit = partitions.filter(({ from }) => from === "committed");
	const commits = fromCommit.length === 0 ? new Map<string, Commit[]>() : await commitsOf(cluster, groups, fromCommit);
	for (const partition of fromCommit) {
		const offset = validCommit(commits.get(nameOf(partition)) ?? [], partition.topicId);
		if (offset !== null) offsets.set(nameOf(partition), offset);
	}
	const known = new Set(fromCommit.filter((partition) => commits.has(nameOf(partition))).map(({ topic }) => topic));

	for (const fromBeginning of [true, false]) {
		const wanted = partitions.filter((partition) => {
			if (offsets.has(nameOf(partition)) || !hasLeader(cluster, partition)) return false;
			return (partition.from === "earliest" || (partition.from === "committed" && known.has(partition.topic))) === fromBeginning;
		});
		if (wanted.length === 0) continue;
		const topics = byTopic(wanted, ({ partition }) => ({ partition })).map((of) => ({ ...of, fromBeginning }));
		for (const { topic, partitions: answers } of await cluster.fetchTopicsOffset(topics))
			for (const { partition, offset } of answers) offsets.set(nameOf({ topic, partition }), Number(offset));
	}
	return partitions.flatMap(({ row, topic, topicId, partition }) => {
		const offset = offsets.get(nameOf({ topic, partition }));
		return offset === undefined ? [] : [{ row, topic, topicId, partition, offset }];
	});
}

function hasLeader(cluster: KafkajsCluster, { topic, partition }: NamedPartition): boolean {
	const found = cluster.brokerPool.metadata?.topicMetadata.find((each) => each.topic === topic);
	return (found?.partitionMetadata.find(({ partitionId }) => partitionId === partition)?.leader ?? -1) >= 0;
}

export async function commitOffsets(
	cluster: KafkajsCluster,
	groupId: string,
	run: string,
	offsets: readonly PartitionWithOffset[],
): Promise<void> {
	if (offsets.length === 0) return;
	const coordinator = await cluster.findGroupCoordinator({ groupId });
	const topics = byTopic(offsets, ({ partition, offset, topicId }) => ({
		partition,
		offset: String(offset),
		metadata: commitText({ topicId, run }),
	}));
	await coordinator.offsetCommit({ groupId, ...simpleConsumer, topics });
}

import { type Commit, commitText, parseCommitText, validCommit } from "../protocol/commit-text.ts";
import type { PartitionWithOffset, SourcePartition, StartRule } from "../source.ts";
import { grouped } from "./grouped.ts";
import type { KafkajsCluster } from "./kafkajs-cluster.ts";

/** Kafka's "simple consumer": it commits under a group's name without being a member of the group. */
const simpleConsumer = { groupGenerationId: -1, memberId: "" } as const;

type NamedPartition = Pick<SourcePartition, "topic" | "partition">;

/** kafkajs sends these requests by topic name. */
function nameOf({ topic, partition }: NamedPartition): string {
	return `${topic}/${partition}`;
}

function byTopic<T extends { topic: string }, P>(items: readonly T[], each: (item: T) => P): { topic: string; partitions: P[] }[] {
	return [...grouped(items, ({ topic }) => topic)].map(([topic, same]) => ({ topic, partitions: same.map(each) }));
}

/** The commits for each partition, in the order of the groups. */
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

/** Selects a log offset: the start, the end, or the first record not older than a time (-1 = no such record). */
type LogPlace = { readonly fromBeginning: boolean } | { readonly fromTimestamp: number };
const first: LogPlace = { fromBeginning: true };
const end: LogPlace = { fromBeginning: false };

/** Log offsets of the partitions. Partitions without a leader are left out. */
async function logOffsets(cluster: KafkajsCluster, partitions: readonly NamedPartition[], place: LogPlace) {
	const offsets = new Map<string, number>();
	const led = partitions.filter((partition) => hasLeader(cluster, partition));
	if (led.length === 0) return offsets;
	const topics = byTopic(led, ({ partition }) => ({ partition })).map((of) => ({ ...of, ...place }));
	for (const { topic, partitions: answers } of await cluster.fetchTopicsOffset(topics))
		for (const { partition, offset } of answers) offsets.set(nameOf({ topic, partition }), Number(offset));
	return offsets;
}

/**
 * Moves a commit that is outside the log into it. Retention may have removed its record, or it is after the end because it was set by
 * hand or a leader failed. Done here and not at the first fetch, so that all shards start at the same offset. A commit with a known
 * leader epoch may stay after the end: the broker then reports where the logs diverge.
 */
function inLog(commit: Commit, start: number, end: number): StartFound {
	const { offset, epoch } = commit;
	if (offset >= start && (offset <= end || epoch >= 0)) return { offset, epoch };
	return { offset: offset < start ? start : end, epoch: -1 };
}

interface StartFound {
	readonly offset: number;
	readonly epoch: number;
}

/** The partitions that are new: they have no record yet, or a first one that is young enough. */
async function newOnes(cluster: KafkajsCluster, partitions: readonly (NamedPartition & StartRule)[]): Promise<ReadonlySet<string>> {
	const isNew = new Set<string>();
	for (const [sinceMs, same] of grouped(
		partitions.filter(({ newIfSinceMs }) => newIfSinceMs !== null),
		({ newIfSinceMs }) => String(newIfSinceMs),
	)) {
		const starts = await logOffsets(cluster, same, first);
		const ends = await logOffsets(cluster, same, end);
		const young = await logOffsets(cluster, same, { fromTimestamp: Number(sinceMs) });
		for (const [name, start] of starts) if (start === ends.get(name) || start === young.get(name)) isNew.add(name);
	}
	return isNew;
}

/**
 * Finds where each partition starts by its policy. Partitions without a leader are left out. `committed` without a commit means `latest`,
 * unless other partitions of the topic have a commit, or this one has a commit of an earlier topic with the same name: then the
 * partition was created since, and is read from its first record.
 * @param onMoved called for each commit that is not in the log.
 */
export async function findOffsets(
	cluster: KafkajsCluster,
	groups: readonly string[],
	partitions: readonly (SourcePartition & StartRule)[],
	onMoved: (partition: SourcePartition, committed: number, to: number) => void = () => {},
): Promise<PartitionWithOffset[]> {
	const found = new Map<string, StartFound>();
	const fromCommit = partitions.filter(({ from }) => from === "committed");
	const commits = fromCommit.length === 0 ? new Map<string, Commit[]>() : await commitsOf(cluster, groups, fromCommit);
	const committed = fromCommit.flatMap((partition) => {
		const commit = validCommit(commits.get(nameOf(partition)) ?? [], partition.topicId);
		return commit === null ? [] : [{ ...partition, commit }];
	});
	const [starts, ends] = [await logOffsets(cluster, committed, first), await logOffsets(cluster, committed, end)];
	for (const { commit, ...partition } of committed) {
		const name = nameOf(partition);
		const [start, behind] = [starts.get(name), ends.get(name)];
		if (start === undefined || behind === undefined) continue;
		const at = inLog(commit, start, behind);
		if (at.offset !== commit.offset) onMoved(partition, commit.offset, at.offset);
		found.set(name, at);
	}
	const known = new Set(fromCommit.filter((partition) => commits.has(nameOf(partition))).map(({ topic }) => topic));
	const isCommitted = new Set(committed.map(nameOf));

	const isNew = await newOnes(cluster, partitions);

	for (const place of [first, end]) {
		const wanted = partitions.filter((partition) => {
			if (isCommitted.has(nameOf(partition))) return false;
			const { from, topic } = partition;
			const isFirst = from === "earliest" || isNew.has(nameOf(partition)) || (from === "committed" && known.has(topic));
			return isFirst === (place === first);
		});
		for (const [name, offset] of await logOffsets(cluster, wanted, place)) found.set(name, { offset, epoch: -1 });
	}
	return partitions.flatMap(({ row, topic, topicId, partition }) => {
		const at = found.get(nameOf({ topic, partition }));
		return at === undefined ? [] : [{ row, topic, topicId, partition, ...at }];
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
	const topics = byTopic(offsets, ({ partition, offset, topicId, epoch }) => ({
		partition,
		offset: String(offset),
		metadata: commitText({ topicId, run, epoch }),
	}));
	await coordinator.offsetCommit({ groupId, ...simpleConsumer, topics });
}

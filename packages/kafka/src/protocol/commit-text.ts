/** Metadata committed with an offset. `kafka-consumer-groups` does not show it. */
interface CommitText {
	/** Null when the broker does not report ids, or another program committed. */
	readonly topicId: string | null;
	/** Unique name of the shardcast cluster that committed; null when another program did. */
	readonly run: string | null;
	/** Epoch of the leader that wrote the record before the offset; -1 = unknown. */
	readonly epoch: number;
}

export interface Commit extends CommitText {
	readonly offset: number;
}

const pattern = /^shardcast(?: topic=(?<topicId>[\w-]+))?(?: run=(?<run>[\w.-]+))?(?: epoch=(?<epoch>\d{1,10}))?$/;

export function commitText({ topicId, run, epoch }: CommitText): string {
	const topic = topicId === null ? [] : [`topic=${topicId}`];
	return ["shardcast", ...topic, ...(run === null ? [] : [`run=${run}`]), ...(epoch < 0 ? [] : [`epoch=${epoch}`])].join(" ");
}

/** Accepts any text: an offset set by another program, such as `kafka-consumer-groups --reset-offsets`, counts too. */
export function parseCommitText(text: string): CommitText {
	const found = pattern.exec(text)?.groups;
	return { topicId: found?.topicId ?? null, run: found?.run ?? null, epoch: Number(found?.epoch ?? -1) };
}

/**
 * The commit to continue from; null when none is valid. The lowest wins: what one shard had not delivered, its clients have not seen.
 * Ignores commits of another topic with the same name, and those of an earlier run that had more shards.
 * @param commits of one partition, that of shard 0 first.
 */
export function validCommit(commits: readonly Commit[], topicId: string | null): Commit | null {
	const ofTopic = commits.filter((commit) => commit.topicId === null || topicId === null || commit.topicId === topicId);
	if (ofTopic.length === 0) return null;
	const { run } = ofTopic[0]!;
	const ofRun = ofTopic.filter((commit) => run === null || commit.run === null || commit.run === run);
	return ofRun.reduce((lowest, commit) => (commit.offset < lowest.offset ? commit : lowest));
}

/** What is committed beside an offset, where `kafka-consumer-groups` does not show it. */
export interface CommitText {
	/** Of which topic it is; null = the broker did not tell, or somebody else committed. */
	readonly topicId: string | null;
	/** Name of the cluster of shards that committed, unlike any other's; null = somebody else. */
	readonly run: string | null;
	/** Epoch of the leader that wrote the record before the offset; -1 = not known. */
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

/** Of an offset that somebody else has set, such as `kafka-consumer-groups --reset-offsets`, nothing is known; it counts all the same. */
export function parseCommitText(text: string): CommitText {
	const found = pattern.exec(text)?.groups;
	return { topicId: found?.topicId ?? null, run: found?.run ?? null, epoch: Number(found?.epoch ?? -1) };
}

/**
 * The commit to go on from by those of a partition, those of shard 0 first; null when none counts. The lowest wins, since
 * what one shard had not delivered its clients have not seen. What is of another topic of that name counts nothing; nor does what a
 * shard with a higher number has left behind in an earlier run, when there were more shards.
 */
export function validCommit(commits: readonly Commit[], topicId: string | null): Commit | null {
	const ofTopic = commits.filter((commit) => commit.topicId === null || topicId === null || commit.topicId === topicId);
	if (ofTopic.length === 0) return null;
	const { run } = ofTopic[0]!;
	const ofRun = ofTopic.filter((commit) => run === null || commit.run === null || commit.run === run);
	return ofRun.reduce((lowest, commit) => (commit.offset < lowest.offset ? commit : lowest));
}

import type { TopicFound, TopicList } from "../../src/source.ts";

/** What the brokers tell: these topics, and nothing of others. */
export function listOf(topics: readonly TopicFound[], more: Partial<TopicList> = {}): TopicList {
	return { topics, denied: [], missing: [], previousLookMs: null, ...more };
}

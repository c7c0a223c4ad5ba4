import { parseEach } from "../units/each.ts";

/** The topics to read: names, and regular expressions between slashes. */
export interface Subscription {
	readonly names: readonly string[];
	/** Sources of regular expressions that match a whole topic name. */
	readonly patterns: readonly string[];
	/** Names that are not read, whatever a pattern matches. */
	readonly excluded: readonly string[];
}

const topicName = /^[A-Za-z0-9._-]{1,249}$/;

/** Splits at commas that are not within a /pattern/. */
function split(list: string): string[] {
	const items: string[] = [];
	for (const match of list.matchAll(/\s*(\/(?:\\.|[^/\\])+\/|[^,]*)\s*(?:,|$)/g)) {
		const item = match[1]!.trim();
		if (item !== "") items.push(item);
	}
	return items;
}

/**
 * `orders,/ticks\..+/`.
 * @throws AggregateError of a RangeError for each wrong item, with the rest of the sentence that begins with the list.
 */
export function parseSubscription(list: string): Subscription {
	const names = new Set<string>();
	const patterns: string[] = [];
	parseEach(split(list), (item) => {
		if (item.length > 2 && item.startsWith("/") && item.endsWith("/")) {
			const source = item.slice(1, -1);
			try {
				new RegExp(source);
			} catch (error) {
				throw new RangeError(`has a pattern that is not a regular expression: ${(error as Error).message}`);
			}
			patterns.push(source);
		} else if (isTopicName(item)) names.add(item);
		else throw new RangeError(`has "${item}", which is neither a topic name nor a /pattern/`);
	});
	return { names: [...names], patterns, excluded: [] };
}

export function isTopicName(name: string): boolean {
	return topicName.test(name) && name !== "." && name !== "..";
}

/** Kafka's own topics (`__consumer_offsets`) match no pattern. */
export function topicMatcher({ names, patterns, excluded }: Subscription): (topic: string) => boolean {
	const named = new Set(names);
	const refused = new Set(excluded);
	const expressions = patterns.map((source) => new RegExp(`^(?:${source})$`));
	const isMatched = (topic: string) => !topic.startsWith("__") && expressions.some((expression) => expression.test(topic));
	return (topic) => !refused.has(topic) && (named.has(topic) || isMatched(topic));
}

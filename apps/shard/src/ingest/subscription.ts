/** The topics to read: names, and regular expressions between slashes. Plain data, made by `parseSubscription`. */
export interface Subscription {
	readonly names: readonly string[];
	/** Sources of regular expressions that match a whole topic name. */
	readonly patterns: readonly string[];
}

const topicName = /^[A-Za-z0-9._-]{1,249}$/;

/** `["orders", "/ticks\\..+/"]`. @throws RangeError with the rest of the sentence that begins with the list. */
export function parseSubscription(topics: readonly string[]): Subscription {
	const names: string[] = [];
	const patterns: string[] = [];
	for (const topic of topics) {
		if (topic.length > 2 && topic.startsWith("/") && topic.endsWith("/")) {
			const source = topic.slice(1, -1);
			try {
				new RegExp(source);
			} catch (error) {
				throw new RangeError(`has a pattern that is no regular expression: ${(error as Error).message}`);
			}
			patterns.push(source);
		} else if (topicName.test(topic)) names.push(topic);
		else throw new RangeError(`has "${topic}", which is neither a topic name nor a /pattern/`);
	}
	return { names: [...new Set(names)], patterns };
}

/** Kafka's own topics (`__consumer_offsets`) match no pattern. */
export function matcherOf(subscription: Subscription): (topic: string) => boolean {
	const names = new Set(subscription.names);
	const patterns = subscription.patterns.map((source) => new RegExp(`^(?:${source})$`));
	return (topic) => names.has(topic) || (!topic.startsWith("__") && patterns.some((pattern) => pattern.test(topic)));
}

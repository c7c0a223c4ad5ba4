/** What of a key belongs to one slot of a Redis Cluster is in braces, up to the first closing one; nothing between them would not count. */
const tag = (channel: string) => (channel.startsWith("}") ? `{\0}${channel}` : `{${channel}}`);

/** The names of a channel's keys. All of them lie in one slot of a Redis Cluster. */
export class Keys {
	readonly #prefix: string;

	/** @param prefix without braces. */
	constructor(prefix: string) {
		this.#prefix = prefix;
	}

	meta(channel: string): string {
		return `${this.#prefix}:meta:${tag(channel)}`;
	}

	stream(channel: string): string {
		return `${this.#prefix}:stream:${tag(channel)}`;
	}

	/** @param key an idempotency key. */
	once(channel: string, key: string): string {
		return `${this.#prefix}:once:${tag(channel)}:${key}`;
	}

	/** The pub/sub channel of its publications. */
	topic(channel: string): string {
		return `${this.#prefix}:publications:${tag(channel)}`;
	}

	/** The pub/sub channel of messages without a history that one lane carries. */
	messages(lane: number): string {
		return `${this.#prefix}:messages:${lane}`;
	}

	/** The pub/sub channel that backends publish to. */
	get published(): string {
		return `${this.#prefix}:publish`;
	}
}

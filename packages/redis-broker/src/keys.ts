/** The part in braces, the hash tag, decides the slot in a Redis Cluster. It ends at the first closing brace and must not be empty. */
const tag = (channel: string) => (channel.startsWith("}") ? `{\0}${channel}` : `{${channel}}`);

/** The names of a channel's keys. All of them are in one slot of a Redis Cluster. */
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

	/** The pub/sub channel for messages without history. @param group of shards, on all nodes: those whose slot modulo the number of logs is this. */
	messages(group: number): string {
		return `${this.#prefix}:messages:${group}`;
	}

	/** The pub/sub channel that backends publish to. */
	get published(): string {
		return `${this.#prefix}:publish`;
	}
}

/** How long channels are collected, so that all clients are visited once for all of them, in milliseconds. */
const collectMs = 20;

/** Channels whose epoch has changed. Their subscribers know offsets of the former one, so those with a position must resubscribe. */
export class RestartedChannels {
	readonly #endSubscriptions: (channels: ReadonlySet<string>) => void;
	#channels = new Set<string>();
	#timer: NodeJS.Timeout | undefined;
	#isStopped = false;

	/** @param endSubscriptions makes positioned subscribers resubscribe. */
	constructor(endSubscriptions: (channels: ReadonlySet<string>) => void) {
		this.#endSubscriptions = endSubscriptions;
	}

	add(channel: string): void {
		if (this.#isStopped) return;
		this.#channels.add(channel);
		this.#timer ??= setTimeout(this.#end, collectMs);
	}

	/** Those that are still collected are forgotten: the shard closes its clients. */
	stop(): void {
		this.#isStopped = true;
		clearTimeout(this.#timer);
	}

	readonly #end = (): void => {
		this.#timer = undefined;
		const channels = this.#channels;
		this.#channels = new Set();
		this.#endSubscriptions(channels);
	};
}

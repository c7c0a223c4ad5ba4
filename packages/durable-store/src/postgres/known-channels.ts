import type { StoredChannel } from "../store.ts";

/** The most channels that are remembered. Beyond it, the least recently used half is dropped, and read again when it is used. */
const channelsMax = 10_000;

/** What a process knows of the channels in a store that it must ask. */
export class KnownChannels {
	#recent = new Map<string, StoredChannel>();
	#older = new Map<string, StoredChannel>();

	get(channel: string): StoredChannel | null {
		const recent = this.#recent.get(channel);
		if (recent !== undefined) return recent;
		const older = this.#older.get(channel);
		if (older === undefined) return null;
		this.#put(channel, older);
		return older;
	}

	/** Answers may arrive out of order: within an epoch, a state only moves forward. */
	learn(channel: string, state: StoredChannel): StoredChannel {
		const known = this.#recent.get(channel) ?? this.#older.get(channel);
		const isOlder = known !== undefined && known.epoch0 === state.epoch0 && known.epoch1 === state.epoch1 && known.last > state.last;
		const newest = isOlder ? known : state;
		this.#put(channel, newest);
		return newest;
	}

	forget(channel: string): void {
		this.#recent.delete(channel);
		this.#older.delete(channel);
	}

	#put(channel: string, state: StoredChannel): void {
		if (!this.#recent.has(channel) && this.#recent.size >= channelsMax / 2) {
			this.#older = this.#recent;
			this.#recent = new Map();
		}
		this.#older.delete(channel);
		this.#recent.set(channel, state);
	}
}

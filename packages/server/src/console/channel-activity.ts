import { ChannelEntry, nextChannelEntry, type RecordHead } from "@shardcast/wire";

export interface BusyChannel {
	/** "" for messages to everybody. */
	readonly name: string;
	readonly perSecond: number;
}

interface Tally {
	readonly name: string;
	count: number;
}

const decoder = new TextDecoder();
/** Sorts "lobby.2" before "lobby.10". */
const byName = new Intl.Collator("en", { numeric: true });
/** The key of messages without a channel; hashes are 32 bits wide and never negative. */
const everybodyKey = -1;

/**
 * Finds the busiest channels. Counts every record that this shard reads, which is every record of the cluster. Called only while a console is
 * open.
 *
 * Owned by the shard's loop. Bound: `channelsMax` names per interval; records of further channels are counted in `others`. If two names in an
 * interval have the same hash, both count as the first one: the numbers are approximate.
 */
export class ChannelActivity {
	readonly #channelsMax: number;
	readonly #tallies = new Map<number, Tally>();
	#sinceMs: number;
	#others = 0;

	constructor(nowMs: number, channelsMax = 4096) {
		this.#sinceMs = nowMs;
		this.#channelsMax = channelsMax;
	}

	/** Counts a record. Costs a map look-up per channel; a name is decoded once per interval. */
	count(u8: Uint8Array, view: DataView, head: RecordHead): void {
		if (head.channelCount === 0) {
			this.#add(everybodyKey, u8, 0, 0);
			return;
		}
		let at = head.channelsStart;
		for (let index = 0; index < head.channelCount; index++) {
			const next = nextChannelEntry(u8, at);
			this.#add(view.getUint32(at + ChannelEntry.hashOffset, true), u8, at + ChannelEntry.nameOffset, next);
			at = next;
		}
	}

	/** Returns the channels since the last call, busiest first, and starts a new interval. */
	take(nowMs: number): { readonly channels: readonly BusyChannel[]; readonly othersPerSecond: number } {
		const seconds = Math.max(0.001, (nowMs - this.#sinceMs) / 1000);
		const channels = [...this.#tallies.values()]
			.sort((one, other) => other.count - one.count || byName.compare(one.name, other.name))
			.map(({ name, count }) => ({ name, perSecond: count / seconds }));
		const othersPerSecond = this.#others / seconds;
		this.#tallies.clear();
		this.#others = 0;
		this.#sinceMs = nowMs;
		return { channels, othersPerSecond };
	}

	#add(key: number, u8: Uint8Array, start: number, end: number): void {
		const tally = this.#tallies.get(key);
		if (tally !== undefined) tally.count++;
		else if (this.#tallies.size >= this.#channelsMax) this.#others++;
		else this.#tallies.set(key, { name: decoder.decode(u8.slice(start, end)), count: 1 });
	}
}

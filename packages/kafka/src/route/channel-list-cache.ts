import type { ChannelList } from "@shardcast/wire";

/** Limits on the number of cached texts and on their bytes, lists included. When either is exceeded, the whole cache is cleared. */
const textsMax = 65_536;
const bytesMax = 16 * 1024 * 1024;
/** Longer texts are not cached: producers choose how long they are. */
const textLengthMax = 1024;
/** Bytes of an entry besides its characters. Each character is stored in the text, in the list's names and in the list's bytes. */
const overheadBytes = 200;
const bytesPerCharacter = 3;

/** Caches channel lists by the text that they were made from. Records of a channel repeat, and a known text costs one look-up. */
export class ChannelListCache {
	readonly #make: (text: string) => ChannelList | null;
	readonly #lists = new Map<string, ChannelList | null>();
	#bytes = 0;

	/** @param make returns null for a text that is not a channel. */
	constructor(make: (text: string) => ChannelList | null) {
		this.#make = make;
	}

	/** Approximate size, in bytes. */
	get bytes(): number {
		return this.#bytes;
	}

	of(text: string): ChannelList | null {
		const known = this.#lists.get(text);
		if (known !== undefined) return known;
		const list = this.#make(text);
		if (text.length <= textLengthMax) this.#keep(text, list);
		return list;
	}

	#keep(text: string, list: ChannelList | null): void {
		const bytes = overheadBytes + bytesPerCharacter * text.length;
		if (this.#lists.size >= textsMax || this.#bytes + bytes > bytesMax) {
			this.#lists.clear();
			this.#bytes = 0;
		}
		this.#lists.set(text, list);
		this.#bytes += bytes;
	}
}

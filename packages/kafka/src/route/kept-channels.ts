import type { ChannelList } from "@shardcast/wire";

/** Most texts kept, and most bytes of them with what was made of them. Beyond either all are forgotten, and made again as they come. */
const textsMax = 65_536;
const bytesMax = 16 * 1024 * 1024;
/** Longer ones are not kept: whoever writes records chooses how long they are. */
const textLengthMax = 1024;
/** What an entry costs besides its characters: in the text, in the list's names, in the list's bytes. */
const overheadBytes = 200;
const bytesPerCharacter = 3;

/** Channel lists by the texts that they were made from, since records of one channel repeat: a known one costs one look-up. */
export class KeptChannels {
	readonly #make: (text: string) => ChannelList | null;
	readonly #lists = new Map<string, ChannelList | null>();
	#bytes = 0;

	/** @param make null for a text that is no channel. */
	constructor(make: (text: string) => ChannelList | null) {
		this.#make = make;
	}

	/** About what they take, in bytes. */
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

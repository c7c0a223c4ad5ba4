/** The secret of a cluster's channel hashes: two 32-bit words. */
export type ChannelHashKey = readonly [number, number];

let key0 = 0;
let key1 = 0;
useChannelHashKey(randomChannelHashKey());

export function randomChannelHashKey(): ChannelHashKey {
	const [word0, word1] = crypto.getRandomValues(new Int32Array(2));
	return [word0!, word1!];
}

/**
 * Sets the cluster's key. All processes and worker threads that write or read records of a bus need the same key before they create their
 * first channel list. A process starts with a random key, so a shard that forgets this call finds no client for any channel, instead of being
 * open to attack.
 */
export function useChannelHashKey([word0, word1]: ChannelHashKey): void {
	key0 = word0 | 0;
	key1 = word1 | 0;
}

/** The current key, to pass to worker threads. */
export function channelHashKey(): ChannelHashKey {
	return [key0, key1];
}

/**
 * 32-bit hash of a channel name's UTF-8 bytes. Readers look channels up by hash before they compare names.
 *
 * It is HalfSipHash-1-3, which the Linux kernel uses for its hash tables. Clients choose the names, so the hash must be keyed; but a key alone
 * is not enough: with FNV-1a, a collision of two names depends on only 8 bits of the start value. Takes about 150 ns for a name of 20 bytes,
 * once per channel list; records carry the hash, so that readers need not compute it.
 */
export function channelHash(name: Uint8Array, start = 0, end = name.length): number {
	let v0 = key0;
	let v1 = key1;
	let v2 = 0x6c796765 ^ key0;
	let v3 = 0x74656462 ^ key1;
	const bytes = end - start;
	const wordsEnd = end - (bytes & 3);
	// The last word: the rest of the name, and its length in the upper byte.
	let last = bytes << 24;
	for (let at = wordsEnd, shift = 0; at < end; at++, shift += 8) last |= name[at]! << shift;
	// One round per word, then three to finish.
	for (let at = start, finishing = 0; finishing < 4; at += 4) {
		let word = 0;
		if (at < wordsEnd) word = name[at]! | (name[at + 1]! << 8) | (name[at + 2]! << 16) | (name[at + 3]! << 24);
		else if (finishing++ === 0) word = last;
		else if (finishing === 2) v2 ^= 0xff;
		v3 ^= word;
		v0 = (v0 + v1) | 0;
		v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
		v0 = (v0 << 16) | (v0 >>> 16);
		v2 = (v2 + v3) | 0;
		v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
		v0 = (v0 + v3) | 0;
		v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
		v2 = (v2 + v1) | 0;
		v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
		v2 = (v2 << 16) | (v2 >>> 16);
		v0 ^= word;
	}
	return (v1 ^ v3) >>> 0;
}

/**
 * How many descriptors the balancer may use for which purpose. With handoff, the number of a new descriptor shows how many are open, since the
 * kernel assigns the lowest free one; with proxy they are counted.
 */
export class DescriptorBudget {
	/** Limit for connections that wait for something: their head, room in a shard, their client to disconnect. */
	readonly heldMax: number;
	/** Limit for requests that the balancer answers itself. It is higher: /health must be answered even when nothing else fits. */
	readonly answeredMax: number;

	/** @param descriptorsMax files and sockets that this process may have open at once. */
	constructor(descriptorsMax: number) {
		const spare = Math.min(spareMax, descriptorsMax >> 2);
		this.heldMax = descriptorsMax - spare;
		this.answeredMax = descriptorsMax - (spare >> 2);
	}
}

/** Reserve for files, logs, the new connections of a turn, and requests that are answered here; a quarter of it is for such requests only. */
const spareMax = 128;

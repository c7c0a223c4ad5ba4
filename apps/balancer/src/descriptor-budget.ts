/**
 * How many descriptors a balancer may use for what. When handing over, a connection's own number tells how many are open, since the kernel
 * gives out the lowest that is free; when proxying they are counted.
 */
export class DescriptorBudget {
	/** Connections that wait for something (their head, room in a shard, their client to leave) have numbers up to this. */
	readonly heldMax: number;
	/** Requests that the balancer answers itself may use more: /health is to be answered when nothing else fits any more. */
	readonly answeredMax: number;

	/** @param descriptorsMax files and sockets that this process may have open at once. */
	constructor(descriptorsMax: number) {
		const spare = Math.min(spareMax, descriptorsMax >> 2);
		this.heldMax = descriptorsMax - spare;
		this.answeredMax = descriptorsMax - (spare >> 2);
	}
}

/** For files, logs, a turn's new connections, and requests that are answered here; a quarter of them for none but those. */
const spareMax = 128;

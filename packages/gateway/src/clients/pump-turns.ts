/** A client that is sent what waits for it. */
export interface Pumped {
	readonly isGone: boolean;
	/** Written only by `PumpTurns`: in which of its lists the client is. */
	pumpLists: number;
	/** Written only by `PumpTurns`: the turn in which it was last sent something at once. */
	pumpedAtOnce: number;
	/** `pump` sends what the client takes. @returns bytes sent. */
	readonly queues: { readonly output: { pump(): number } };
}

/** Clients in the order in which they were noted, each once. Bound: the clients that there are. */
class PumpList<Client extends Pumped> {
	readonly #bit: number;
	/** A ring; its length is a power of two. */
	#ring: (Client | null)[] = new Array<Client | null>(64).fill(null);
	#first = 0;
	count = 0;

	constructor(bit: number) {
		this.#bit = bit;
	}

	add(client: Client): void {
		if ((client.pumpLists & this.#bit) !== 0) return;
		client.pumpLists |= this.#bit;
		if (this.count === this.#ring.length) this.#grow();
		this.#ring[(this.#first + this.count++) & (this.#ring.length - 1)] = client;
	}

	take(): Client {
		const client = this.#ring[this.#first]!;
		this.#ring[this.#first] = null;
		this.#first = (this.#first + 1) & (this.#ring.length - 1);
		this.count--;
		client.pumpLists &= ~this.#bit;
		return client;
	}

	#grow(): void {
		const before = this.#ring;
		this.#ring = Array.from({ length: 2 * before.length }, (_, index) =>
			index < this.count ? before[(this.#first + index) & (before.length - 1)]! : null,
		);
		this.#first = 0;
	}
}

/**
 * What may be sent in a turn. A write to a client takes 10 to 20 µs, most of it in the kernel, and about so do `bytesOfWrite`. With `otherWrites` 2
 * CONTROL was fastest while VIDEO used up a core, and no less passed than with 4, 8 or 32: the longer a client waits for its turn, the more of its frames
 * share a write. With more than a thousand clients it is as many as it takes to serve all in `turnsMost` turns.
 */
export const PumpLimits = { urgentWrites: 32, otherWrites: 2, writesAtOnce: 16, bytesOfWrite: 32 * 1024, turnsMost: 512 } as const;

/**
 * When clients are sent what waits for them: at the end of a turn of the event loop, so that what has come for one in that turn is one write. Clients
 * with frames that have priority come first. The others come in turn, a few in each turn of the loop and the rest in the next ones: what has
 * priority and comes meanwhile does not have to wait until a thousand have been served. What waits longer for them is replaced by what is newer,
 * or holds its source, as their lanes decide.
 *
 * A client may be sent one frame with priority at once, if there were not many of those in this turn.
 *
 * One owner, the gateway's loop. Bound: each client is there twice at most.
 */
export class PumpTurns<Client extends Pumped> {
	readonly #urgent = new PumpList<Client>(1);
	readonly #others = new PumpList<Client>(2);
	#next: NodeJS.Immediate | null = null;
	#number = 1;
	#sentAtOnce = 0;
	#isStopped = false;

	/** @param isUrgent whether a frame that has priority waits. */
	soon(client: Client, isUrgent: boolean): void {
		if (this.#isStopped) return;
		(isUrgent ? this.#urgent : this.#others).add(client);
		this.#next ??= setImmediate(this.#turn);
	}

	/** Whether the client may be sent a frame that has priority now, not at the end of the turn. */
	mayAtOnce(client: Client): boolean {
		if (client.pumpedAtOnce === this.#number || this.#sentAtOnce >= PumpLimits.writesAtOnce || this.#isStopped) return false;
		client.pumpedAtOnce = this.#number;
		this.#sentAtOnce++;
		// Otherwise this turn would not end.
		this.#next ??= setImmediate(this.#turn);
		return true;
	}

	stop(): void {
		if (this.#next !== null) clearImmediate(this.#next);
		this.#isStopped = true;
		while (this.#urgent.count > 0) this.#urgent.take();
		while (this.#others.count > 0) this.#others.take();
	}

	readonly #turn = (): void => {
		this.#next = null;
		this.#number = (this.#number + 1) & 0x3fffffff;
		this.#sentAtOnce = 0;
		serve(this.#urgent, PumpLimits.urgentWrites);
		serve(this.#others, Math.max(PumpLimits.otherWrites, this.#others.count / PumpLimits.turnsMost));
		if (this.#urgent.count + this.#others.count > 0 && !this.#isStopped) this.#next ??= setImmediate(this.#turn);
	};
}

/** Sends as much as so many writes. Those that are noted meanwhile have their turn next time. */
function serve<Client extends Pumped>(list: PumpList<Client>, writesMax: number): void {
	let writes = 0;
	for (let left = list.count; left > 0 && list.count > 0 && writes < writesMax; left--) {
		const client = list.take();
		const bytes = client.isGone ? 0 : client.queues.output.pump();
		if (bytes > 0) writes += 1 + bytes / PumpLimits.bytesOfWrite;
	}
}

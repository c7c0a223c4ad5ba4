import type { ClientRecord } from "./client-record.ts";
import type { Occupancy } from "./occupancy.ts";
import { type ClientEvent, disconnected } from "./webhook-event.ts";

interface KnownClient {
	readonly client: string;
	readonly user: string;
	readonly channels: Set<string>;
}

interface Snapshot {
	readonly lost: number;
	readonly isQuiet: boolean;
	/** Clients that the snapshot has not listed yet. */
	readonly unseen: Set<number>;
	/** Channels of the current client that the snapshot has not listed yet. */
	unseenChannels: Set<string>;
	/** Events that the snapshot has replaced. */
	found: number;
}

interface ClientTableParts {
	readonly tell: (event: ClientEvent) => void;
	readonly occupancy: Pick<Occupancy, "enter" | "leave">;
	/** This number of events of a shard is lost. */
	readonly lost: (events: number) => void;
}

/** Close code for clients of a dead shard, and for clients that were missing in a snapshot. */
const cut = 1006;

/**
 * The clients of one shard and their subscriptions, according to its records. It outlives the shard, so that the end of a dead shard's clients
 * can be reported.
 *
 * One owner, the collector. Bounds: the connections of the shard, and their channels.
 */
export class ClientTable {
	readonly #parts: ClientTableParts;
	readonly #clients = new Map<number, KnownClient>();
	#snapshot: Snapshot | null = null;

	constructor(parts: ClientTableParts) {
		this.#parts = parts;
	}

	get size(): number {
		return this.#clients.size;
	}

	readonly take = (record: ClientRecord): void => {
		const [kind, at] = record;
		switch (kind) {
			case "connect":
				this.#connect(record);
				return;
			case "disconnect":
				this.#disconnect(record[2], at, record[3]);
				return;
			case "subscribe":
				this.#subscribe(record[2], at, record[3]);
				return;
			case "unsubscribe":
				this.#unsubscribe(record[2], at, record[3], record[4]);
				return;
			case "cache_empty":
				this.#parts.tell({ type: kind, at, channel: record[2] });
				return;
			case "snapshot":
				this.#snapshot = {
					lost: record[2],
					isQuiet: record[3],
					unseen: new Set(this.#clients.keys()),
					unseenChannels: new Set(),
					found: 0,
				};
				return;
			case "client":
				this.#snapshot?.unseen.delete(record[2]);
				if (!this.#clients.has(record[2])) this.#connect(record);
				if (this.#snapshot !== null) this.#snapshot.unseenChannels = new Set(this.#clients.get(record[2])!.channels);
				return;
			case "channel":
				this.#snapshot?.unseenChannels.delete(record[3]);
				this.#subscribe(record[2], at, record[3]);
				return;
			case "clientEnd":
				for (const channel of this.#snapshot?.unseenChannels ?? []) this.#unsubscribe(record[2], at, channel, 0);
				return;
			case "snapshotEnd":
				this.#endSnapshot(at);
				return;
			default:
				kind satisfies never;
		}
	};

	/** The shard has died, or has ended without reporting the end of these clients. */
	died(at: number): void {
		this.#snapshot = null;
		for (const key of [...this.#clients.keys()]) this.#disconnect(key, at, cut);
	}

	/** There is no webhook any more. */
	forget(): void {
		this.#clients.clear();
		this.#snapshot = null;
	}

	#connect([, at, key, client, user, transport, protocol]: Extract<ClientRecord, readonly ["connect" | "client", ...unknown[]]>): void {
		this.#clients.set(key, { client, user, channels: new Set() });
		this.#tell({ type: "connect", at, client, user, transport, protocol });
	}

	#disconnect(key: number, at: number, code: number): void {
		const known = this.#clients.get(key);
		if (known === undefined) return;
		for (const channel of known.channels) this.#unsubscribe(key, at, channel, disconnected);
		this.#clients.delete(key);
		this.#tell({ type: "disconnect", at, client: known.client, user: known.user, code });
	}

	#subscribe(key: number, at: number, channel: string): void {
		const known = this.#clients.get(key);
		if (known === undefined || known.channels.has(channel)) return;
		known.channels.add(channel);
		this.#tell({ type: "subscribe", at, client: known.client, user: known.user, channel });
		this.#parts.occupancy.enter(channel, at, this.#snapshot?.isQuiet === true);
	}

	#unsubscribe(key: number, at: number, channel: string, code: number): void {
		const known = this.#clients.get(key);
		if (!known?.channels.delete(channel)) return;
		this.#tell({ type: "unsubscribe", at, client: known.client, user: known.user, channel, code });
		this.#parts.occupancy.leave(channel, at);
	}

	#tell(event: ClientEvent): void {
		const snapshot = this.#snapshot;
		if (snapshot !== null) {
			snapshot.found++;
			if (snapshot.isQuiet) return;
		}
		this.#parts.tell(event);
	}

	#endSnapshot(at: number): void {
		const snapshot = this.#snapshot;
		if (snapshot === null) return;
		for (const key of snapshot.unseen) this.#disconnect(key, at, cut);
		this.#snapshot = null;
		const missing = snapshot.lost - snapshot.found;
		if (missing > 0 && !snapshot.isQuiet) this.#parts.lost(missing);
	}
}

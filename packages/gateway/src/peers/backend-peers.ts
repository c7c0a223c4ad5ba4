import type { BackendLink } from "../backends/backend-link.ts";
import { LinkCounts } from "../backends/link-counts.ts";
import type { LinkOptions } from "../backends/link-options.ts";
import type { BufferPool } from "../buffers/buffer-pool.ts";
import { slotOfClient } from "../clients/client-ids.ts";
import type { RefusalReason } from "../clients/link-messages.ts";
import { BackendQueueCounters } from "../lanes/backend-queue.ts";
import { BackendPeer, PeerCounts } from "./backend-peer.ts";
import type { ChannelEnds, ChannelStreams } from "./gateway-bus.ts";

interface BackendPeersParts {
	readonly options: LinkOptions;
	readonly pool: BufferPool;
	readonly nowMs: () => number;
	/** The link to a backend to which this process is connected. */
	readonly link: (backendId: number) => BackendLink | null;
}

const nobody: ReadonlyMap<number, BackendPeer> = new Map();

/**
 * The other processes, as users of the backends to which this one is connected: one `BackendPeer` for each process and backend. One owner, the
 * gateway's loop. Bound: the channels that each process may have.
 */
export class BackendPeers {
	readonly counts = new PeerCounts();
	/** What the channels of all processes count. */
	readonly linkCounts = new LinkCounts();
	/** Queues towards all processes. */
	readonly queues = new BackendQueueCounters();
	readonly #parts: BackendPeersParts;
	/** By backend, then by slot. */
	readonly #peers = new Map<number, Map<number, BackendPeer>>();
	/** With those that get no more frames. */
	readonly #all = new Set<BackendPeer>();
	#isLeaving = false;

	constructor(parts: BackendPeersParts) {
		this.#parts = parts;
	}

	/** Those that use a backend. */
	of(backendId: number): Iterable<BackendPeer> {
		return (this.#peers.get(backendId) ?? nobody).values();
	}

	/** The one whose client this is. That the client has joined may not have come yet. */
	ofClient(backendId: number, clientId: number): BackendPeer | undefined {
		return this.#peers.get(backendId)?.get(slotOfClient(clientId));
	}

	*clientsOf(backendId: number): Iterable<number> {
		for (const { clients } of this.of(backendId)) yield* clients;
	}

	/** A process opens a channel. */
	readonly open = (slot: number, backendId: number): ChannelEnds | null => {
		if (this.#isLeaving) return null;
		this.#peers.get(backendId)?.get(slot)?.close();
		const { options, pool, nowMs, link } = this.#parts;
		const peer = new BackendPeer({
			...{ slot, backendId, options, pool, nowMs, counts: this.counts, linkCounts: this.linkCounts, queues: this.queues },
			link: () => link(backendId),
			onGone: this.#onGone,
		});
		this.#all.add(peer);
		let bySlot = this.#peers.get(backendId);
		if (bySlot === undefined) {
			bySlot = new Map();
			this.#peers.set(backendId, bySlot);
		}
		bySlot.set(slot, peer);
		return peer.channel.ends;
	};

	readonly accepted = (slot: number, backendId: number, streams: ChannelStreams): void => {
		this.#peers.get(backendId)?.get(slot)?.attach(streams);
	};

	/** The backend is up, or not. */
	told(backendId: number, isUp: boolean): void {
		for (const peer of [...this.of(backendId)]) {
			peer.tell({ type: isUp ? "up" : "down" });
			peer.retry();
		}
	}

	/** The link to a backend that was removed has ended, and what it had brought has been taken. */
	removed(backendId: number): void {
		for (const peer of [...this.of(backendId)]) peer.removed();
	}

	/** Frames have left the queue of a backend, or the backend takes no more. */
	written(backendId: number): void {
		for (const peer of this.of(backendId)) peer.retry();
	}

	/** A frame was not passed on. */
	refuse(backendId: number, clientId: number, frameClass: number, reason: RefusalReason): void {
		const peer = this.ofClient(backendId, clientId);
		if (peer === undefined) this.counts.unrefused++;
		else peer.refuse(clientId, frameClass, reason);
	}

	buffersFreed(): void {
		for (const { channel } of this.#all) channel.buffersFreed();
	}

	/** Asks the processes to end their channels when what is on its way has been sent. Others are not accepted. */
	leave(): void {
		this.#isLeaving = true;
		for (const peer of [...this.#all]) peer.tell({ type: "leaving" });
	}

	readonly #onGone = (peer: BackendPeer): void => {
		const bySlot = this.#peers.get(peer.backendId);
		if (bySlot?.get(peer.slot) === peer) {
			bySlot.delete(peer.slot);
			if (bySlot.size === 0) this.#peers.delete(peer.backendId);
		}
		this.#all.delete(peer);
	};
}

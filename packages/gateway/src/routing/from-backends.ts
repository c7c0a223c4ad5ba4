import type { ConnectionKind } from "../backends/backend-messages.ts";
import type { Frame } from "../buffers/frame.ts";
import { slotOfClient } from "../clients/client-ids.ts";
import type { GatewayClient } from "../clients/gateway-client.ts";
import type { GatewayClients } from "../clients/gateway-clients.ts";
import { type FrameClass, FrameLayout } from "../frames/frame-descriptor.ts";
import { FrameDecision } from "../frames/frame-reader.ts";
import type { GatewayCounts } from "../monitor/gateway-counts.ts";
import type { BackendPeers } from "../peers/backend-peers.ts";
import type { Link } from "./link.ts";
import { Source, type Sources } from "./source.ts";

interface FromBackendsParts {
	readonly clients: Pick<GatewayClients, "get" | "all">;
	readonly counts: GatewayCounts;
	/** The slot of this process: its clients' ids begin with it. */
	readonly slot: number;
	/** The other processes; null = there are none. */
	readonly peers: BackendPeers | null;
}

/** A frame for all is put into the lanes of so many clients in the time that it takes to read one. */
const clientsOfFrame = 16;

/**
 * Passes frames of backends on to clients, and those of backends to which this process is connected on to the other processes. A frame for all is
 * stored once. While a lane of a client, or a queue towards a process, is nearly full, the connections that fill it are not read; the frame with
 * which that began is the last, so that no frame needs a place that it does not have.
 *
 * Owned by the gateway's loop.
 */
export class FromBackends {
	readonly #parts: FromBackendsParts;

	constructor(parts: FromBackendsParts) {
		this.#parts = parts;
	}

	/** Times that a connection to this backend was not read because of a client. */
	pausesOf({ sources }: Link): number {
		return sources === null ? 0 : sources.control.pauses + sources.data.pauses;
	}

	readonly begin = (link: Link, _class: FrameClass, _length: number, clientId: number, from: ConnectionKind): FrameDecision => {
		if (clientId !== FrameLayout.everyone && !this.#isThere(link, clientId)) {
			this.#parts.counts.dropped.unknown_client++;
			return FrameDecision.skip;
		}
		return (link.sources ?? newSources(link))[from].mayTake() ? FrameDecision.take : FrameDecision.wait;
	};

	readonly onFrame = (link: Link, frame: Frame, from: ConnectionKind): void => {
		const { clients, counts, peers, slot } = this.#parts;
		if (link.isOwn) {
			counts.frames.from_backends++;
			counts.bytes.from_backends += frame.length;
		}
		const source = (link.sources ?? newSources(link))[from];
		const { clientId } = frame;
		if (clientId === FrameLayout.everyone) {
			for (const client of clients.all) this.#give(client, frame, source);
			if (peers !== null && link.isOwn) for (const peer of peers.of(link.id)) peer.take(frame, source);
		} else if (peers !== null && slotOfClient(clientId) !== slot) {
			const peer = link.isOwn ? peers.ofClient(link.id, clientId) : undefined;
			if (peer === undefined) counts.dropped.unknown_client++;
			else peer.take(frame, source);
		} else {
			const client = clients.get(clientId);
			if (client === undefined) counts.dropped.unknown_client++;
			else this.#give(client, frame, source);
		}
	};

	/** Takes out what waits of the link's VIDEO for one client, since there is no buffer for a newer frame. What is for all clients has no older one. */
	readonly olderVideo = (link: Link, clientId: number): Frame | null => {
		const { clients, peers, slot } = this.#parts;
		if (clientId === FrameLayout.everyone) return null;
		if (peers === null || slotOfClient(clientId) === slot) return clients.get(clientId)?.queues.lanes.olderVideo(link.id) ?? null;
		return link.isOwn ? (peers.ofClient(link.id, clientId)?.outbox.olderVideo(clientId) ?? null) : null;
	};

	/** For how many frames of a turn it counts: so many clients take as long as one frame that is read. */
	readonly workOf = ({ clientId }: Frame): number =>
		clientId === FrameLayout.everyone ? 1 + this.#parts.clients.all.length / clientsOfFrame : 1;

	/** The backend is not there any more. */
	forget(link: Link): void {
		link.sources = null;
	}

	#isThere(link: Link, clientId: number): boolean {
		const { peers, slot } = this.#parts;
		if (peers !== null && slotOfClient(clientId) !== slot) return link.isOwn && peers.ofClient(link.id, clientId) !== undefined;
		const client = this.#parts.clients.get(clientId);
		return client !== undefined && !client.isLeaving;
	}

	#give(client: GatewayClient, frame: Frame, source: Source): void {
		if (client.isGone) {
			this.#parts.counts.dropped.client_closed++;
			return;
		}
		client.queues.output.take(frame, source);
	}
}

function newSources(link: Link): Sources {
	const source = (kind: ConnectionKind) => new Source({ resume: () => link.resume(kind) });
	const sources = { control: source("control"), data: source("data") };
	link.sources = sources;
	return sources;
}

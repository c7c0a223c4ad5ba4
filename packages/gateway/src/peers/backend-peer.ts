import type { BackendLink } from "../backends/backend-link.ts";
import { type ConnectionKind, connectionOf } from "../backends/backend-messages.ts";
import type { LinkCounts } from "../backends/link-counts.ts";
import type { LinkOptions } from "../backends/link-options.ts";
import { LinkOutbox } from "../backends/link-outbox.ts";
import type { BufferPool } from "../buffers/buffer-pool.ts";
import type { Frame } from "../buffers/frame.ts";
import { slotOfClient } from "../clients/client-ids.ts";
import type { RefusalReason } from "../clients/link-messages.ts";
import { mayDrop } from "../frames/frame-codec.ts";
import { FrameClass } from "../frames/frame-descriptor.ts";
import { FrameDecision } from "../frames/frame-reader.ts";
import type { BackendQueueCounters } from "../lanes/backend-queue.ts";
import { HeldBudget } from "../lanes/held-frames.ts";
import type { Source } from "../routing/source.ts";
import type { ChannelStreams } from "./gateway-bus.ts";
import { PeerChannel } from "./peer-channel.ts";
import { type ClientNews, encodeOwnerMessage, type OwnerMessage, readNews } from "./peer-messages.ts";

/** What peers count, since the start. */
export class PeerCounts {
	/** Frames and messages with the id of a client that is not of the process that sent them: dropped. */
	foreignClient = 0;
	/** Messages that were not understood. */
	unknownMessage = 0;
	/** VIDEO and ACK frames for a backend that is not up: dropped. */
	noBackend = 0;
	/** Clients that were not noted: a process has too many. */
	tooManyClients = 0;
	/** Channels that were closed because their process does not read what it is told. */
	backlog = 0;
	/** Refusals that did not reach their process, which has gone. */
	unrefused = 0;
}

export interface PeerParts {
	readonly slot: number;
	readonly backendId: number;
	readonly options: LinkOptions;
	readonly pool: BufferPool;
	readonly counts: PeerCounts;
	/** Of the channels of all processes. */
	readonly linkCounts: LinkCounts;
	/** Of the queues towards all processes. */
	readonly queues: BackendQueueCounters;
	readonly nowMs: () => number;
	/** The link to the backend; null = this process is not its owner, or not yet. */
	readonly link: () => BackendLink | null;
	/** The process has no more to say about the backend, or has gone. */
	readonly onGone: (peer: BackendPeer) => void;
}

/** Frames of one process that may be held for a backend whose queue is full, for each of its connections. The rest waits in that process. */
const heldFramesMax = 8;
/** In this time, all processes have heard that a backend was removed. */
const removalMs = 2000;
/** Clients that one process may have. */
const clientsMax = 2 ** 20;

/**
 * Another process of the gateway, as a user of a backend to which this one is connected. Towards the process there are queues like those towards a
 * backend: VIDEO is dropped, for other frames the connection to the backend is not read. When the backend's queue is full, the stream of the process
 * is not read, so its own queues decide what becomes of its clients' frames.
 *
 * One owner, the gateway's loop.
 */
export class BackendPeer {
	readonly slot: number;
	readonly backendId: number;
	readonly clients = new Set<number>();
	readonly outbox: LinkOutbox;
	readonly channel: PeerChannel;
	readonly #parts: PeerParts;
	/** For frames towards the process beyond a full queue. A source that is held brings no more, so there are few. */
	readonly #ownBudget = new HeldBudget(64, Number.MAX_SAFE_INTEGER);
	/** For its frames that the backend has no room for. */
	readonly #budgets: Readonly<Record<ConnectionKind, HeldBudget>> = {
		control: new HeldBudget(heldFramesMax, Number.MAX_SAFE_INTEGER),
		data: new HeldBudget(heldFramesMax, Number.MAX_SAFE_INTEGER),
	};
	/** Sources that wait for room in the queues towards the process. */
	readonly #held: Readonly<Record<ConnectionKind, Set<Source>>> = { control: new Set(), data: new Set() };
	/** The streams whose next frame waits for the backend, and for which of its connections. */
	readonly #waits: Record<ConnectionKind, ConnectionKind | null> = { control: null, data: null };
	/** Runs while the process has heard that the backend was removed, and this one has not. */
	#removal: NodeJS.Timeout | null = null;
	#isGone = false;
	/** The link has ended since its backend was removed: one that comes later is none of it. */
	#isRemoved = false;
	/** The process has gone, or has broken the channel, after its orderly end. */
	#isDeaf = false;

	constructor(parts: PeerParts) {
		const { slot, backendId, options, pool, nowMs } = parts;
		this.#parts = parts;
		this.slot = slot;
		this.backendId = backendId;
		this.outbox = new LinkOutbox(options, parts.queues);
		this.channel = new PeerChannel({
			...{ pool, nowMs, outbox: this.outbox, counts: parts.linkCounts },
			frameBytesMax: options.frameBytesMax,
			framesPerTurn: options.framesPerTurn,
			shares: pool.linkShares(),
			begin: this.#begin,
			onFrame: this.#onFrame,
			older: {
				olderVideo: (clientId) => this.#link?.outbox.olderVideo(clientId) ?? null,
				oldestVideo: () => this.#link?.outbox.oldestVideo() ?? null,
			},
			onMessage: this.#onMessage,
			onWritten: this.#onWritten,
			onDeaf: this.#onDeaf,
			onEnd: this.#onEnd,
		});
	}

	/** The link that it uses; null = there is none, or not any more. */
	get #link(): BackendLink | null {
		return this.#isRemoved ? null : this.#parts.link();
	}

	/** The link has ended since its backend was removed. When it comes back, the process opens another channel, and lists its clients there. */
	removed(): void {
		this.#isRemoved = true;
		this.clients.clear();
		this.tell({ type: "leaving" });
	}

	attach(streams: ChannelStreams): void {
		this.channel.attach(streams);
		if (this.#link?.isUp) this.tell({ type: "up" });
	}

	/** Takes a frame of the backend for clients of the process. It has its own reference as long as it needs the frame. VIDEO holds no source. */
	take(frame: Frame, source: Source): void {
		if (this.#isDeaf) return;
		const { frameClass } = frame;
		const kind = connectionOf(frameClass);
		this.outbox.offer(frame, this.#ownBudget);
		this.channel.offered(kind);
		if (!mayDrop(frameClass) && this.outbox.queue.holds(kind) && !this.#held[kind].has(source)) {
			this.#held[kind].add(source);
			source.hold();
		}
	}

	tell(message: OwnerMessage): void {
		if (this.#isGone || this.#isDeaf) return;
		if (this.outbox.tell(encodeOwnerMessage(message), "control")) this.channel.wake("control");
		else {
			this.#parts.counts.backlog++;
			this.close();
		}
	}

	refuse(client: number, frameClass: number, reason: RefusalReason): void {
		if (this.#isGone || this.#isDeaf) this.#parts.counts.unrefused++;
		else this.tell({ type: "refused", client, class: frameClass, reason });
	}

	/** There may be room towards the backend, also since it is not up any more: then nothing is held for it. */
	retry(): void {
		for (const kind of ["control", "data"] as const) {
			const waitsFor = this.#waits[kind];
			if (waitsFor === null || this.#budgets[waitsFor].frames >= heldFramesMax) continue;
			this.#waits[kind] = null;
			this.channel.resume(kind);
		}
	}

	/** Ends it at once. */
	close(): void {
		for (const frame of this.channel.close()) frame.release();
		this.#discard();
		this.#gone();
	}

	readonly #begin = (frameClass: FrameClass, _length: number, clientId: number, from: ConnectionKind): FrameDecision => {
		const { slot, counts } = this.#parts;
		if (slotOfClient(clientId) !== slot) {
			counts.foreignClient++;
			return FrameDecision.skip;
		}
		const link = this.#link;
		if (link === null || !link.isUp) {
			this.#notPassed(clientId, frameClass, link === null ? "unknown_backend" : "backend_down");
			return FrameDecision.skip;
		}
		const kind = connectionOf(frameClass);
		if (mayDrop(frameClass) || this.#budgets[kind].frames < heldFramesMax) return FrameDecision.take;
		this.#waits[from] = kind;
		return FrameDecision.wait;
	};

	readonly #onFrame = (frame: Frame): void => {
		const { frameClass, clientId } = frame;
		const offered = this.#link?.send(frame, this.#budgets[connectionOf(frameClass)]) ?? "down";
		// It broke while the frame came.
		if (offered === "down" || offered === "full") this.#notPassed(clientId, frameClass, "backend_down");
	};

	readonly #onMessage = (text: string): void => {
		const news = readNews(text);
		if (news === null) this.#parts.counts.unknownMessage++;
		else if (news.type === "removed") this.#removed();
		else this.#clients(news);
	};

	/** If this process has not heard of it yet, it soon will, and says `leaving` then. */
	#removed(): void {
		const leave = (): void => {
			if (this.#link?.isLeaving !== true) this.tell({ type: "leaving" });
		};
		if (this.#link === null) leave();
		// Perhaps it has heard of it long ago, and that the backend has come again.
		else this.#removal ??= setTimeout(leave, removalMs).unref();
	}

	#clients(news: ClientNews): void {
		if (this.#isRemoved) return;
		const { counts, slot } = this.#parts;
		const changed: number[] = [];
		for (const client of news.clients) {
			if (slotOfClient(client) !== slot) counts.foreignClient++;
			else if (news.type === "client_left") {
				if (this.clients.delete(client)) changed.push(client);
			} else if (this.clients.size >= clientsMax) counts.tooManyClients++;
			else if (!this.clients.has(client)) {
				this.clients.add(client);
				changed.push(client);
			}
		}
		if (changed.length === 0) return;
		if (news.type === "client_left") this.#link?.clientsLeft(changed);
		else this.#link?.clientsJoined(changed);
	}

	readonly #onWritten = (kind: ConnectionKind): void => {
		if (!this.outbox.queue.holds(kind)) this.#letGo(kind);
	};

	readonly #onDeaf = (): void => {
		this.#isDeaf = true;
		this.#discard();
	};

	readonly #onEnd = (isOrderly: boolean): void => {
		if (!isOrderly) {
			this.close();
			return;
		}
		this.channel.end();
		this.#gone();
	};

	#notPassed(clientId: number, frameClass: FrameClass, reason: RefusalReason): void {
		if (mayDrop(frameClass) || frameClass === FrameClass.ACK) this.#parts.counts.noBackend++;
		else this.refuse(clientId, frameClass, reason);
	}

	/** The process gets no more frames; those that wait are still sent. */
	#gone(): void {
		if (this.#isGone) return;
		this.#isGone = true;
		if (this.#removal !== null) clearTimeout(this.#removal);
		this.#removal = null;
		this.#parts.onGone(this);
		if (this.clients.size > 0) this.#link?.clientsLeft([...this.clients]);
		this.clients.clear();
	}

	/** What waits for the process is let go. */
	#discard(): void {
		this.outbox.clear(() => {});
		this.#letGo("control");
		this.#letGo("data");
	}

	#letGo(kind: ConnectionKind): void {
		const held = [...this.#held[kind]];
		this.#held[kind].clear();
		for (const source of held) source.release();
	}
}

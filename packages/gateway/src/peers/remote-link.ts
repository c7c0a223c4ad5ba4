import { until } from "@shardcast/process";
import { type ConnectionKind, connectionOf, encodeBackendMessage, encodeClients, encodeLinkMessage } from "../backends/backend-messages.ts";
import { LinkCounts } from "../backends/link-counts.ts";
import type { LinkOptions } from "../backends/link-options.ts";
import { LinkOutbox } from "../backends/link-outbox.ts";
import type { BufferPool } from "../buffers/buffer-pool.ts";
import type { LinkShares } from "../buffers/buffer-share.ts";
import type { Frame } from "../buffers/frame.ts";
import type { RefusalReason } from "../clients/link-messages.ts";
import type { HeldBudget } from "../lanes/held-frames.ts";
import { type Link, type LinkListener, loseAll } from "../routing/link.ts";
import type { Sources } from "../routing/source.ts";
import type { BusStreams } from "./bus-streams.ts";
import { PeerChannel } from "./peer-channel.ts";
import { readOwnerMessage } from "./peer-messages.ts";

export interface RemoteLinkListener extends LinkListener {
	/** The owner has not passed on a frame of a client. */
	readonly onRefused: (link: Link, clientId: number, frameClass: number, reason: RefusalReason) => void;
}

export interface RemoteLinkParts {
	readonly id: number;
	readonly address: string;
	/** Slot of the process that is connected to the backend. */
	readonly owner: number;
	readonly streams: BusStreams;
	readonly options: LinkOptions;
	readonly listener: RemoteLinkListener;
	readonly pool: BufferPool;
	readonly nowMs: () => number;
}

/** Before a channel is opened again that the owner has ended or refused. */
const reopenMs = 50;

/**
 * The way to a backend to which another process, its owner, is connected: a channel over the bus, open as long as both processes are there. It is up
 * while the owner says so. Frames that wait when the channel ends are given to `onUndelivered`.
 *
 * One owner; all callbacks come from this thread's event loop. What is full: as with `BackendLink`.
 */
export class RemoteLink implements Link {
	readonly id: number;
	readonly address: string;
	readonly owner: number;
	readonly isOwn = false;
	readonly counts = new LinkCounts();
	readonly outbox: LinkOutbox;
	readonly outShares: LinkShares;
	sources: Sources | null = null;
	readonly #inShares: LinkShares;
	/** The owner says so. */
	#isUpThere = false;
	readonly #parts: RemoteLinkParts;
	#channel: PeerChannel | null = null;
	#reopen: NodeJS.Timeout | null = null;
	#isStopped = true;
	/** Nothing more is accepted. The channel ends when nothing waits any more, and then is read until the owner ends it, too. */
	#isEnding = false;
	#hasEnded = false;
	/** It is to stop, and this is called then; null = it is not. */
	#left: (() => void) | null = null;
	/** For the time that the owner may take for that. */
	#leaveTimer: NodeJS.Timeout | null = null;

	constructor(parts: RemoteLinkParts) {
		this.#parts = parts;
		this.id = parts.id;
		this.address = parts.address;
		this.owner = parts.owner;
		this.outbox = new LinkOutbox(parts.options);
		this.outShares = parts.pool.linkShares();
		this.#inShares = parts.pool.linkShares();
	}

	get isUp(): boolean {
		return this.#isUpThere && this.#left === null;
	}

	start(): void {
		this.#isStopped = false;
		this.#open();
	}

	stop(): void {
		if (this.#isStopped) return;
		this.#isStopped = true;
		this.#close();
		if (this.#leaveTimer !== null) clearTimeout(this.#leaveTimer);
		this.#leaveTimer = null;
		const left = this.#left;
		this.#left = null;
		left?.();
	}

	/** The owner says when its own link has ended, and what it had of the backend has been sent. It refuses what it has got and cannot pass on. */
	leave(left: () => void): void {
		if (this.#channel === null) {
			this.stop();
			left();
			return;
		}
		this.#left = left;
		const { finishMs, finishMsMax } = this.#parts.options;
		this.#leaveTimer = setTimeout(() => this.stop(), finishMsMax + finishMs);
		loseAll(this, [], this.#parts.listener);
		this.#tell(encodeLinkMessage(this.id, { type: "removed" }));
	}

	async drain(deadlineMs: number): Promise<void> {
		if (this.#channel !== null && !this.#isStopped) {
			this.#end();
			await until(() => !this.#isEnding, deadlineMs);
		}
		this.stop();
	}

	/** A process has come. */
	onFound(slot: number): void {
		if (slot === this.owner) this.#open();
	}

	send(frame: Frame, budget: HeldBudget): ReturnType<Link["send"]> {
		if (!this.isUp) return "down";
		const offered = this.outbox.offer(frame, budget);
		if (offered === "queued") this.#channel!.offered(connectionOf(frame.frameClass));
		return offered;
	}

	clientJoined(client: number): void {
		this.#tell(encodeBackendMessage(this.id, { type: "client_joined", client }));
	}

	clientLeft(client: number): void {
		this.#tell(encodeBackendMessage(this.id, { type: "client_left", client }));
	}

	resume(kind: ConnectionKind): void {
		this.#channel?.resume(kind);
	}

	buffersFreed(): void {
		this.#channel?.buffersFreed();
	}

	readonly #open = (): void => {
		if (this.#reopen !== null) clearTimeout(this.#reopen);
		this.#reopen = null;
		const { streams, owner, options, listener, pool, nowMs, id } = this.#parts;
		if (this.#isStopped || this.#isEnding || this.#channel !== null || !streams.isThere(owner)) return;
		this.counts.dials++;
		const { outbox, counts } = this;
		const channel = new PeerChannel({
			...{ outbox, counts, pool, nowMs, frameBytesMax: options.frameBytesMax, framesPerTurn: options.framesPerTurn },
			shares: this.#inShares,
			begin: (frameClass, length, clientId, kind) => listener.begin(this, frameClass, length, clientId, kind),
			onFrame: (frame, kind) => {
				frame.seal(frame.clientId, id);
				listener.onFrame(this, frame, kind);
			},
			older: { olderVideo: (clientId) => listener.olderVideo?.(this, clientId) ?? null },
			onMessage: this.#onMessage,
			onWritten: this.#onWritten,
			// The owner ends a channel after this end has: nothing waits.
			onDeaf: () => {},
			onEnd: this.#onEnd,
		});
		const opened = streams.openChannel(owner, id, channel.ends);
		if (opened === null) {
			channel.close();
			this.#openLater();
			return;
		}
		this.#channel = channel;
		channel.attach(opened);
		for (const message of encodeClients(id, listener.clients(this), options.frameBytesMax)) this.#tell(message);
	};

	#openLater(): void {
		this.#reopen ??= setTimeout(this.#open, reopenMs);
	}

	#tell(message: Buffer): void {
		if (this.#channel === null) return;
		if (this.outbox.tell(message, "control")) this.#channel.wake("control");
		else {
			// The list of clients with which the next channel begins makes up for it.
			this.counts.ends.backlog++;
			if (this.#left !== null) {
				this.stop();
				return;
			}
			this.#close();
			this.#openLater();
		}
	}

	readonly #onMessage = (text: string): void => {
		const { listener } = this.#parts;
		const message = readOwnerMessage(text);
		switch (message?.type) {
			case "up":
				if (this.#isUpThere || this.#isEnding || this.#left !== null) return;
				this.#isUpThere = true;
				this.counts.ups++;
				listener.onUp(this);
				break;
			case "down":
				this.#down();
				break;
			case "leaving":
				this.#down();
				this.#end();
				break;
			case "refused":
				listener.onRefused(this, message.client, message.class, message.reason);
				break;
			case undefined:
				break;
			default:
				message satisfies never;
		}
	};

	#down(): void {
		if (!this.#isUpThere) return;
		this.#isUpThere = false;
		this.#parts.listener.onDown(this);
	}

	/** Nothing more is accepted, and the channel ends when what waits has been written. */
	#end(): void {
		this.#isEnding = true;
		this.#down();
		this.#endIfIdle();
	}

	readonly #onWritten = (): void => {
		if (this.#isEnding) this.#endIfIdle();
	};

	#endIfIdle(): void {
		if (this.#channel === null || this.#hasEnded || !this.#channel.isIdle) return;
		this.#hasEnded = true;
		this.#channel.end();
	}

	readonly #onEnd = (isOrderly: boolean): void => {
		if (!isOrderly) this.counts.ends.lost++;
		if (this.#left !== null) {
			this.stop();
			return;
		}
		this.#close();
		if (!this.#isStopped) this.#openLater();
	};

	#close(): void {
		if (this.#reopen !== null) clearTimeout(this.#reopen);
		this.#reopen = null;
		const unsent = this.#channel?.close() ?? [];
		this.#channel = null;
		this.#isEnding = false;
		this.#hasEnded = false;
		loseAll(this, unsent, this.#parts.listener);
		this.#down();
	}
}

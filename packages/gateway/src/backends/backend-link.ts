import { until } from "@shardcast/process";
import type { Log } from "@shardcast/telemetry";
import type { BufferPool } from "../buffers/buffer-pool.ts";
import type { LinkShares } from "../buffers/buffer-share.ts";
import type { Frame } from "../buffers/frame.ts";
import { Bandwidth } from "../flow/bandwidth.ts";
import { FrameClass } from "../frames/frame-descriptor.ts";
import { FrameDecision, FrameReader } from "../frames/frame-reader.ts";
import type { BackendQueue } from "../lanes/backend-queue.ts";
import type { HeldBudget } from "../lanes/held-frames.ts";
import { type Link, type LinkListener, loseAll } from "../routing/link.ts";
import type { Sources } from "../routing/source.ts";
import { BackendConnection, type SharedBuffers } from "./backend-connection.ts";
import {
	type BackendMessage,
	type ConnectionKind,
	connectionOf,
	encodeBackendMessage,
	encodeClients,
	encodeClientsLeft,
} from "./backend-messages.ts";
import { Breaker, BreakerState } from "./breaker.ts";
import { LinkCounts, type LinkEnd, linkEnds } from "./link-counts.ts";
import type { LinkOptions } from "./link-options.ts";
import { LinkOutbox } from "./link-outbox.ts";
import { reconnectDelayMs } from "./reconnect-delay.ts";

export interface OwnLinkListener extends LinkListener {
	/** For how many frames of a turn of the event loop this one counts; without, each is one. */
	readonly workOf?: (frame: Frame) => number;
	/** What waited for a connection has been written, with room for more, or was given up. */
	readonly onWritten?: (link: Link) => void;
}

export interface LinkParts {
	readonly id: number;
	/** "host:port", for people. */
	readonly address: string;
	readonly host: string;
	readonly port: number;
	/** 16 hexadecimal digits, the same for both connections, and for no other link. */
	readonly gatewayId: string;
	readonly options: LinkOptions;
	readonly listener: OwnLinkListener;
	readonly pool: BufferPool;
	readonly buffers: SharedBuffers;
	readonly log: Pick<Log, "info" | "warn">;
	/** Milliseconds, monotonic. */
	readonly nowMs?: () => number;
	/** From 0 to 1, for the jitter. */
	readonly random?: () => number;
}

type LinkState = "waiting" | "dialling" | "up" | "finishing" | "stopped";

/** In how many steps the time is measured for which connections are read after the first end. */
const finishSteps = 10;

/**
 * The link to one backend: two connections to the same address, of which the control connection carries what must not wait for the rest. It is up
 * when both are connected. When the backend ends one, nothing more is written, and the other one is read until its end, or for `finishMs`: a backend
 * that has said all closes both. Then, and at once after other failures, both are closed and dialled again after a pause, as the breaker allows.
 * A link that must `leave` ends in the same way, but the gateway's side of both connections ends first, and they are not dialled again.
 *
 * One owner; all callbacks come from this thread's event loop. What is full: see `LinkOutbox`. Frames that wait when the link ends are given to
 * `onUndelivered`.
 */
export class BackendLink implements Link {
	readonly id: number;
	readonly address: string;
	readonly isOwn = true;
	readonly counts = new LinkCounts();
	readonly breaker: Breaker;
	/** What waits for the connections. */
	readonly outbox: LinkOutbox;
	/** Of the pool, by connection: of frames that come on it. */
	readonly inShares: LinkShares;
	/** Of frames that go to it, from when they have come. */
	readonly outShares: LinkShares;
	sources: Sources | null = null;
	readonly #parts: LinkParts;
	readonly #nowMs: () => number;
	readonly #random: () => number;
	#state: LinkState = "stopped";
	#control: BackendConnection | null = null;
	#data: BackendConnection | null = null;
	/** For the next dial, or the limit of the one under way. */
	#dialTimer: NodeJS.Timeout | null = null;
	#stableTimer: NodeJS.Timeout | null = null;
	/** From the first end of a connection on: what is known of that end. */
	#firstEnd = "";
	/** For the next step of the time that connections are read after the first end. */
	#finishTimer: NodeJS.Timeout | null = null;
	/** It was up for `stableMs`. */
	#isStable = false;
	#idleTimer: NodeJS.Timeout | null = null;
	#idleCheck: NodeJS.Immediate | null = null;
	/** When something came on the control connection, or it was not read. */
	#heardMs = 0;
	/** When the backend was asked for a sign of life that has not come; null = it was not. */
	#askedMs: number | null = null;
	/** The last end that was logged; null = the link was up since. */
	#logged: LinkEnd | null = null;
	/** It is to stop, and this is called then; null = it is not. */
	#left: (() => void) | null = null;

	constructor(parts: LinkParts) {
		const { id, address, options } = parts;
		this.#parts = parts;
		this.id = id;
		this.address = address;
		this.#nowMs = parts.nowMs ?? (() => performance.now());
		this.#random = parts.random ?? Math.random;
		this.breaker = new Breaker(options.breaker, this.#nowMs);
		this.outbox = new LinkOutbox(options);
		this.inShares = parts.pool.linkShares();
		this.outShares = parts.pool.linkShares();
	}

	get isUp(): boolean {
		return this.#state === "up";
	}

	/** Between `leave` and its end. */
	get isLeaving(): boolean {
		return this.#left !== null;
	}

	/** Dials at once. */
	start(): void {
		if (this.#state !== "stopped") return;
		this.#state = "waiting";
		this.#dialAfter(0);
	}

	/** Closes both connections at once, and dials no more. */
	stop(): void {
		if (this.#state === "stopped") return;
		this.#close("stopped", "");
	}

	leave(left: () => void): void {
		this.#left = left;
		if (this.#state === "up") this.#finish(null, "");
		else if (this.#state === "stopped") this.#leftNow();
		else if (this.#state !== "finishing") this.stop();
	}

	/** Stops when all that waits has been written, or after this time. */
	async drain(deadlineMs: number): Promise<void> {
		await until(() => this.#isIdle, deadlineMs);
		this.stop();
	}

	/**
	 * Sends a frame, which is retained if it is queued or held.
	 * @param budget of its client, for frames that are held because the queue is full. "full": it is used up. "down": the link is not up.
	 */
	send(frame: Frame, budget: HeldBudget): ReturnType<BackendQueue["offer"]> | "down" {
		if (this.#state !== "up") return "down";
		const offered = this.outbox.offer(frame, budget);
		if (offered !== "queued") return offered;
		const kind = connectionOf(frame.frameClass);
		const connection = this.#connection(kind);
		if (frame.frameClass === FrameClass.CONTROL) connection?.wakeAtOnce();
		else connection?.wake();
		// One turn can bring more messages of a client than a queue takes. Only what the socket does not take has to wait.
		if (this.outbox.queue.isHalfFull(kind)) connection?.hurry();
		return offered;
	}

	clientJoined(client: number): void {
		this.#tell({ type: "client_joined", client });
	}

	clientLeft(client: number): void {
		this.#tell({ type: "client_left", client });
	}

	/** Like `clientJoined`, for clients of another process. */
	clientsJoined(clients: readonly number[]): void {
		if (clients.length === 1) this.clientJoined(clients[0]!);
		else this.#writeAll(encodeClients(this.id, clients, this.#parts.options.frameBytesMax));
	}

	clientsLeft(clients: readonly number[]): void {
		this.#writeAll(encodeClientsLeft(this.id, clients));
	}

	/** Asks again about a frame for which the answer was `wait`. */
	resume(kind: ConnectionKind): void {
		this.#connection(kind)?.resume();
	}

	/** Buffers of the pool came back: connections that wait for one try again. */
	buffersFreed(): void {
		this.#control?.buffersFreed();
		this.#data?.buffersFreed();
	}

	get #isIdle(): boolean {
		return this.outbox.isEmpty && !this.#control?.isWriting && !this.#data?.isWriting;
	}

	#connection(kind: ConnectionKind): BackendConnection | null {
		return kind === "control" ? this.#control : this.#data;
	}

	#dialAfter(pauseMs: number): void {
		this.#dialTimer = setTimeout(this.#dial, pauseMs);
	}

	readonly #dial = (): void => {
		this.#dialTimer = null;
		if (!this.breaker.tryBegin()) {
			this.#dialAfter(Math.max(1, this.breaker.waitMs));
			return;
		}
		this.counts.dials++;
		this.#state = "dialling";
		this.#dialTimer = setTimeout(() => this.#fail("dial_timeout", ""), this.#parts.options.dialMs);
		this.#control = this.#open("control");
		this.#data = this.#open("data");
	};

	#open(kind: ConnectionKind): BackendConnection {
		const { host, port, options, pool, buffers, listener } = this.#parts;
		const isControl = kind === "control";
		return new BackendConnection({
			...{
				kind,
				host,
				port,
				buffers,
				backendId: this.id,
				counts: this.counts,
				framesPerTurn: options.framesPerTurn,
			},
			nowMs: this.#nowMs,
			reader: new FrameReader(pool, options.frameBytesMax, this.counts.reader, this.inShares[kind], {
				olderVideo: (clientId) => listener.olderVideo?.(this, clientId) ?? null,
			}),
			readRate: new Bandwidth(options.bandwidth, this.#nowMs()),
			writeRate: new Bandwidth(options.bandwidth, this.#nowMs()),
			begin: (frameClass, length, clientId) => {
				if (frameClass !== FrameClass.LINK) return listener.begin(this, frameClass, length, clientId, kind);
				// That anything came is all that `pong` says, and no other type is known.
				return FrameDecision.skip;
			},
			onFrame: (frame) => {
				frame.seal(frame.clientId, this.id);
				listener.onFrame(this, frame, kind);
			},
			workOf: listener.workOf,
			next: () => this.outbox.next(kind),
			onWritten: () => this.#onWritten(kind),
			onConnected: this.#onConnected,
			onHeard: () => {
				if (isControl) this.#heard();
			},
			onEnd: (why, detail) => this.#onEnd(kind, why, `${kind} connection: ${detail}`),
		});
	}

	/** Each connection begins with who is on it. */
	readonly #onConnected = ({ kind }: BackendConnection): void => {
		const hello = { type: "hello", version: 1, link: kind, backend: this.id, gateway: this.#parts.gatewayId } as const;
		this.#write(encodeBackendMessage(this.id, hello), kind);
		if (this.#control?.isConnected && this.#data?.isConnected) this.#up();
	};

	#up(): void {
		clearTimeout(this.#dialTimer!);
		this.#dialTimer = null;
		this.#state = "up";
		this.counts.ups++;
		const { options, listener, log } = this.#parts;
		this.#writeAll(encodeClients(this.id, listener.clients(this), options.frameBytesMax));
		this.#isStable = false;
		this.#stableTimer = setTimeout(this.#onStable, options.stableMs);
		this.#heard();
		this.#idleTimer = setTimeout(this.#checkIdle, options.idleMs / 2);
		log.info({ backend: this.id, address: this.address }, "a backend is connected");
		this.#logged = null;
		listener.onUp(this);
	}

	readonly #onStable = (): void => {
		this.#stableTimer = null;
		this.#isStable = true;
		this.breaker.succeeded();
	};

	#tell(message: BackendMessage): void {
		if (this.#state === "up") this.#write(encodeBackendMessage(this.id, message), "control");
	}

	/** Any of them can be one too many, which ends the link: then the next connection must not begin with the others. */
	#writeAll(messages: readonly Buffer[]): void {
		for (const message of messages) if (this.#state === "up") this.#write(message, "control");
	}

	#write(message: Buffer, kind: ConnectionKind): void {
		if (this.outbox.tell(message, kind)) this.#connection(kind)?.wake();
		else this.#fail("backlog", "");
	}

	#onWritten(kind: ConnectionKind): void {
		if (this.outbox.has(kind)) this.#connection(kind)?.wake();
		this.#parts.listener.onWritten?.(this);
	}

	#heard(): void {
		this.#heardMs = this.#nowMs();
		this.#askedMs = null;
	}

	readonly #checkIdle = (): void => {
		const halfMs = this.#parts.options.idleMs / 2;
		// A backend that is not read cannot be heard, and one whose ping waits for bandwidth cannot answer it.
		if (this.#control!.isHeld || this.#control!.isThrottled) this.#heard();
		if (this.#stalled !== null) {
			// If this process stood still, the rest may be in the socket.
			this.#idleCheck = setImmediate(() => {
				const stalled = this.#stalled;
				if (stalled !== null) this.#fail("stalled", `${stalled} connection`);
				else this.#checkIdle();
			});
			return;
		}
		const sinceMs = this.#nowMs() - (this.#askedMs ?? this.#heardMs);
		if (sinceMs < halfMs) {
			this.#idleTimer = setTimeout(this.#checkIdle, halfMs - sinceMs);
		} else if (this.#askedMs === null) {
			this.#askedMs = this.#nowMs();
			this.#idleTimer = setTimeout(this.#checkIdle, halfMs);
			this.#tell({ type: "ping" });
		} else {
			// If this process stood still, the answer may be in the socket and is read before this runs.
			this.#idleCheck = setImmediate(() => {
				if (this.#askedMs !== null) this.#fail("idle", "");
				else this.#checkIdle();
			});
		}
	};

	/** The connection on which a frame has come in part, which keeps its memory; null = none. */
	get #stalled(): ConnectionKind | null {
		const { idleMs } = this.#parts.options;
		const now = this.#nowMs();
		if (this.#control!.isStalled(now, idleMs)) return "control";
		return this.#data!.isStalled(now, idleMs) ? "data" : null;
	}

	#onEnd(kind: ConnectionKind, why: LinkEnd, detail: string): void {
		if (this.#state === "up" && why === "lost") {
			this.#finish(kind, detail);
			return;
		}
		const isLast = this.#connection(kind === "control" ? "data" : "control") === null;
		if (this.#state === "finishing" && why === "lost" && !isLast) loseAll(this, this.#closeOne(kind), this.#parts.listener);
		// The end of the other connection follows from that of the first.
		else this.#fail(why, this.#state === "finishing" && why === "lost" ? this.#firstEnd : detail);
	}

	/** @returns frames that the kernel may not have taken, with their references. */
	#closeOne(kind: ConnectionKind): Frame[] {
		const unsent = this.#connection(kind)?.close() ?? [];
		if (kind === "control") this.#control = null;
		else this.#data = null;
		return unsent;
	}

	/**
	 * Nothing more is written, and what the backend has sent before is still read.
	 * @param ended the connection that the backend has ended; null = none, and the link is to leave: then what is under way can still reach the backend.
	 */
	#finish(ended: ConnectionKind | null, detail: string): void {
		this.#state = "finishing";
		this.#firstEnd = detail;
		this.#clearTimers();
		const unsent: Frame[] = [];
		if (ended === null) {
			this.#control!.end();
			this.#data!.end();
		} else unsent.push(...this.#closeOne(ended), ...(this.#control ?? this.#data!).finish());
		const { options, listener } = this.#parts;
		const { finishMs, finishMsMax } = options;
		const stepMs = finishMs / finishSteps;
		let steps = 0;
		let stepsRead = 0;
		this.#finishTimer = setInterval(() => {
			steps++;
			if (!this.#control?.isHeld && !this.#data?.isHeld) stepsRead++;
			if (stepsRead >= finishSteps || steps * stepMs >= finishMsMax) this.#fail("lost", this.#firstEnd);
		}, stepMs);
		loseAll(this, unsent, listener);
		// Whoever waits for room need not wait for the end.
		listener.onWritten?.(this);
	}

	#fail(why: LinkEnd, detail: string): void {
		if (this.#state !== "waiting" && this.#state !== "stopped") this.#close(this.#left === null ? why : "stopped", detail);
	}

	#leftNow(): void {
		const left = this.#left;
		this.#left = null;
		left?.();
	}

	#close(why: LinkEnd, detail: string): void {
		const { listener, options } = this.#parts;
		const wasUp = this.#state === "up" || this.#state === "finishing";
		const wasActive = wasUp || this.#state === "dialling";
		const wasStable = wasUp && this.#isStable;
		this.#state = why === "stopped" ? "stopped" : "waiting";
		this.#clearTimers();
		const unsent = [...this.#closeOne("control"), ...this.#closeOne("data")];
		if (wasActive) this.counts.ends[why]++;
		if (why === "stopped") {
			if (wasActive && !wasStable) this.breaker.abandoned();
		} else {
			if (why !== "lost" || !wasStable) {
				this.counts.failures++;
				this.breaker.failed();
			}
			const pauseMs = this.breaker.waitMs || reconnectDelayMs(options.reconnect, this.breaker.failures, this.#random());
			this.#dialAfter(pauseMs);
			this.#log(why, detail, pauseMs);
		}
		loseAll(this, unsent, listener);
		if (wasUp) listener.onDown(this, why);
		if (why === "stopped") this.#leftNow();
	}

	/** The first end after the link was up, another reason, and the breaker that opens: not each attempt. */
	#log(why: LinkEnd, detail: string, pauseMs: number): void {
		const isOpen = this.breaker.state === BreakerState.open;
		if (this.#logged === why && !(isOpen && this.breaker.failures === this.#parts.options.breaker.failuresMax)) return;
		this.#logged = why;
		const because = detail === "" ? linkEnds[why] : `${linkEnds[why]} (${detail})`;
		const what = isOpen ? `, and its breaker is open after ${this.breaker.failures} failures` : "";
		const fields = { backend: this.id, address: this.address };
		this.#parts.log.warn(fields, `a backend is not connected: ${because}${what}; next attempt in ${(pauseMs / 1000).toFixed(1)} s`);
	}

	#clearTimers(): void {
		for (const timer of [this.#dialTimer, this.#stableTimer, this.#idleTimer]) if (timer !== null) clearTimeout(timer);
		if (this.#idleCheck !== null) clearImmediate(this.#idleCheck);
		if (this.#finishTimer !== null) clearInterval(this.#finishTimer);
		this.#finishTimer = null;
		this.#dialTimer = null;
		this.#stableTimer = null;
		this.#idleTimer = null;
		this.#idleCheck = null;
	}
}

import type { Config } from "@shardcast/config";
import type { BackendPlace, DisconnectUser } from "@shardcast/control";
import { Deadline, runningStepMsMax, until } from "@shardcast/process";
import type { Log } from "@shardcast/telemetry";
import { CloseCode, closeReasons } from "@shardcast/wire";
import { type Backend, Backends, type BackendsListener } from "../backends/backends.ts";
import type { LinkOptions } from "../backends/link-options.ts";
import { BufferPool } from "../buffers/buffer-pool.ts";
import { ClientIds, slotOfClient } from "../clients/client-ids.ts";
import { QueueMaker } from "../clients/client-queues.ts";
import { ClientTurns } from "../clients/client-turns.ts";
import { closings } from "../clients/close-codes.ts";
import type { ClientOwner, GatewayClient } from "../clients/gateway-client.ts";
import { GatewayClients } from "../clients/gateway-clients.ts";
import { type KnownBackend, type LinkMessage, linkFrame, type RefusalReason } from "../clients/link-messages.ts";
import { PumpTurns } from "../clients/pump-turns.ts";
import { ClientLaneCounters } from "../lanes/client-lanes.ts";
import { type CloseCause, GatewayCounts } from "../monitor/gateway-counts.ts";
import { BackendPeers } from "../peers/backend-peers.ts";
import { BusStreams } from "../peers/bus-streams.ts";
import type { GatewayBus } from "../peers/gateway-bus.ts";
import { RemoteLink, type RemoteLinkListener } from "../peers/remote-link.ts";
import { FromBackends } from "./from-backends.ts";
import { FromClients } from "./from-clients.ts";
import type { Link } from "./link.ts";

interface GatewayHubParts {
	/** Read at each use. */
	readonly config: () => Config;
	readonly linkOptions: LinkOptions;
	readonly log: Pick<Log, "info" | "warn">;
	/** A client is gone: its address and its user count one less. */
	readonly left: (client: GatewayClient) => void;
	/** A client is closed because of this exception. */
	readonly failed: (error: unknown) => void;
	/** Milliseconds, monotonic. */
	readonly nowMs: () => number;
	/** The way to the other processes of the gateway; null = it is the only one. */
	readonly bus?: GatewayBus | null;
}

/** How often overdue acknowledgements and stalled clients are looked for. */
const tickMs = 100;
/** So many at a time, spread over that time: a thousand clients with sixteen streams each take 2 ms, in which CONTROL would wait. */
const tickClients = 100;
const ticksMost = 20;
type HubListener = BackendsListener & RemoteLinkListener;

/**
 * The clients and the backends, and what passes between them. One owner, the gateway's loop.
 */
export class GatewayHub implements ClientOwner {
	readonly counts = new GatewayCounts();
	readonly laneCounters = new ClientLaneCounters();
	readonly clients = new GatewayClients();
	readonly pool: BufferPool;
	readonly backends: Backends;
	readonly fromClients: FromClients;
	readonly fromBackends: FromBackends;
	/** The other processes; null = there are none. */
	readonly streams: BusStreams | null;
	readonly peers: BackendPeers | null;
	readonly #parts: GatewayHubParts;
	readonly #slot: number;
	readonly #ids: ClientIds;
	readonly #queues: QueueMaker;
	readonly #pumps = new PumpTurns<GatewayClient>();
	readonly #turns: ClientTurns<GatewayClient>;
	/** Changes of backends that clients had no room for, by client. */
	readonly #untold = new Map<GatewayClient, Set<Backend>>();
	#freed: NodeJS.Immediate | null = null;
	/** Takes that got no buffer until the last round of ticks. */
	#refusedBefore = 0;
	/** In this round: somebody got no buffer. */
	#isShort = false;
	/** Clients at this place and after it have been looked at in this round. */
	#tickPlace = 0;
	#clientsPerTick = 0;
	/** When it was last looked at clients. */
	#tickedMs = 0;
	#ticker: NodeJS.Timeout | null = null;

	constructor(parts: GatewayHubParts) {
		const { config, linkOptions, log, nowMs, bus = null } = parts;
		const slot = bus?.link.member ?? 0;
		const { counts, clients } = this;
		this.#parts = parts;
		this.#slot = slot;
		this.pool = new BufferPool({ memoryBytesMax: config().bufferMemoryBytes });
		this.pool.onFreed = () => {
			this.#freed ??= setImmediate(this.#buffersFreed);
		};
		this.#ids = new ClientIds({ slot, isUsed: clients.has, unixTime: Date.now() / 1000 });
		this.#queues = new QueueMaker({
			config,
			counts,
			pool: this.pool,
			laneCounters: this.laneCounters,
			nowMs,
			pumps: this.#pumps,
			pass: (client, frame) => this.fromClients.pass(client, frame),
		});
		this.peers =
			bus === null
				? null
				: new BackendPeers({ options: linkOptions, pool: this.pool, nowMs, link: (id) => this.backends.get(id)?.own ?? null });
		this.streams =
			bus === null || this.peers === null
				? null
				: new BusStreams(bus, { onOpen: this.peers.open, accepted: this.peers.accepted, onFound: this.#onFound });
		this.fromBackends = new FromBackends({ clients, counts, slot, peers: this.peers });
		const listener = this.#listener();
		const { streams, pool } = this;
		this.backends = new Backends({
			...{ options: linkOptions, listener, pool, log, nowMs },
			remote: ({ id, address, owner }) =>
				streams === null || owner === slot
					? null
					: new RemoteLink({ id, address, owner, streams, options: linkOptions, listener, pool, nowMs }),
		});
		this.fromClients = new FromClients({
			clients,
			backends: this.backends,
			pool: this.pool,
			counts,
			payloadBytesMax: config().maxFrameBytes,
			refuse: (client, backend, frameClass, reason) => this.#refuse(client, backend, frameClass, reason),
			close: (client, cause) => this.close(client, cause),
			acknowledged: (client, backend) => client.queues.output.acknowledge(backend),
		});
		this.#turns = new ClientTurns({
			framesPerTurn: linkOptions.framesPerTurn,
			payloadBytesMax: config().maxFrameBytes,
			...{ pool, counts },
			handle: (client, message) => this.fromClients.take(client, message),
			failed: (client, error) => {
				parts.failed(error);
				if (!client.isGone) client.transport.end(CloseCode.internalError, closeReasons[CloseCode.internalError]);
			},
		});
	}

	start(): void {
		this.#tickedMs = this.#parts.nowMs();
		this.#ticker = setTimeout(this.#tick, tickMs);
		this.streams?.start();
	}

	/** These are the backends now, and the processes that are connected to them. */
	useBackends(places: readonly BackendPlace[]): void {
		this.backends.use(places);
	}

	/**
	 * Ends the links to backends when what waits has been written, or after this time: first those through other processes, then, when these have sent
	 * what they have, those of this process.
	 */
	async drain(deadlineMs: number): Promise<void> {
		const { streams, peers, backends } = this;
		const deadline = new Deadline(deadlineMs);
		this.#turns.hurry();
		await until(() => this.#turns.waiting === 0, deadline.leftMs());
		this.passAll();
		if (streams !== null) {
			peers?.leave();
			await backends.drainRemote(deadline.leftMs());
			await until(() => streams.open === 0, deadline.leftMs());
		}
		await backends.drain(deadline.leftMs());
	}

	/** Passes on what waits because of `--client-bandwidth`, which holds no frame of these clients from now on. */
	passAll(): void {
		for (const { queues } of this.clients.all) queues.intake.bytesPerSecond = 0;
		this.#queues.limitWaiting(0);
	}

	stop(): void {
		if (this.#ticker !== null) clearTimeout(this.#ticker);
		this.#ticker = null;
		if (this.#freed !== null) clearImmediate(this.#freed);
		this.#freed = null;
		this.#pumps.stop();
		this.#turns.stop();
		this.backends.stop();
		this.streams?.stop();
	}

	/** Options have changed. */
	update(): void {
		for (const { queues } of this.clients.all) this.#queues.update(queues);
		this.#queues.limitWaiting(this.#parts.config().clientBandwidth);
	}

	opened(client: GatewayClient): void {
		const { counts, clients } = this;
		client.id = this.#ids.next();
		client.queues = this.#queues.queuesOf(client);
		client.queues.output.open(client.transport);
		clients.add(client);
		counts.opened++;
		const backends = [...this.backends.all].map(known);
		if (!this.#tell(client, { type: "welcome", version: 1, client: client.id, backends })) this.close(client, "no_buffer");
		// Afterwards: it can be the end of a link, which clients are told.
		this.backends.clientJoined(client.id);
	}

	received(client: GatewayClient, message: ArrayBuffer, isBinary: boolean): void {
		if (isBinary) this.#turns.take(client, Buffer.from(message));
		else this.close(client, "text");
	}

	closed(client: GatewayClient): void {
		this.#parts.left(client);
		if (client.place < 0) return;
		this.clients.remove(client);
		client.queues.output.close();
		client.queues.intake.leave();
		this.#untold.delete(client);
		this.backends.clientLeft(client.id);
	}

	/** Closes a client; does nothing if it is closing already. @param closing instead of the code and reason for that cause. */
	close(client: GatewayClient, cause: CloseCause, closing = closings[cause]): void {
		if (client.isGone) return;
		this.counts.closed[cause]++;
		client.isLeaving = true;
		client.queues.output.close();
		client.transport.end(closing.code, closing.reason);
	}

	endRevoked(client: GatewayClient, code: number, reason: string): void {
		this.close(client, "revoked", { code, reason });
	}

	/** Closes the clients of a user, or one of them, with the code and reason of the order. @returns how many. */
	disconnect({ user, client: id, session, keep, whitelist, code, reason }: DisconnectUser): number {
		// What only clients of the Centrifuge protocol have.
		if (session !== undefined || keep !== undefined) return 0;
		const asked = this.clients.snapshot().filter((client) => {
			const name = String(client.id);
			return client.user === user && !client.isGone && (id === undefined || name === id) && whitelist?.includes(name) !== true;
		});
		for (const client of asked) this.close(client, "kicked", { code, reason });
		return asked.length;
	}

	/** Closes the clients whose tokens have expired. @param unixTime seconds since 1970. */
	closeExpired(unixTime: number): void {
		const delay = this.#parts.config().expiredCloseDelayMs / 1000;
		for (const client of this.clients.snapshot())
			if (client.identity !== null && client.identity.expiresAt + delay <= unixTime) this.close(client, "token_expired");
	}

	/** Closes the clients that connected without a token before it was required. They can connect again with one. */
	closeAnonymous(): void {
		for (const client of this.clients.snapshot()) if (client.identity === null) this.close(client, "token_required");
	}

	#listener(): HubListener {
		const { fromBackends } = this;
		return {
			begin: fromBackends.begin,
			onFrame: fromBackends.onFrame,
			olderVideo: fromBackends.olderVideo,
			workOf: fromBackends.workOf,
			onUp: this.#onChange,
			onDown: (link) => {
				for (const client of this.clients.all) client.queues.output.forgetBackend(link.id);
				this.#onChange(link);
			},
			onUndelivered: (link, frame) => {
				if (this.peers === null || slotOfClient(frame.clientId) === this.#slot) this.fromClients.onUndelivered(link, frame);
				else this.peers.refuse(link.id, frame.clientId, frame.frameClass, "backend_down");
			},
			onRefused: (link, client, frameClass, reason) => this.fromClients.notPassed(link, client, frameClass, reason),
			onWritten: (link) => this.peers?.written(link.id),
			clients: (link) => this.#clientsFor(link),
			onReplaced: (link) => {
				fromBackends.forget(link);
				this.counts.keep(link);
			},
			onAdded: (backend) => this.#tellAll(backend),
			onNamed: (backend) => this.#tellAll(backend),
			onRemoved: (backend) => {
				fromBackends.forget(backend.link);
				if (backend.own !== null) this.peers?.removed(backend.link.id);
				this.#tellAll(backend);
				this.counts.keep(backend.link);
			},
		};
	}

	readonly #onChange = (link: Link): void => {
		if (link.isOwn) this.peers?.told(link.id, link.isUp);
		const backend = this.backends.get(link.id);
		// Otherwise `onRemoved` follows.
		if (backend !== undefined && !this.backends.isLeaving(link.id)) this.#tellAll(backend);
	};

	readonly #onFound = (slot: number): void => {
		for (const { link } of this.backends.all) if (link instanceof RemoteLink) link.onFound(slot);
	};

	/** A backend knows the clients of all processes, another process those of this one. */
	*#clientsFor(link: Link): Iterable<number> {
		yield* this.clients.ids();
		if (link.isOwn && this.peers !== null) yield* this.peers.clientsOf(link.id);
	}

	/** Tells all clients whether a backend is up. */
	#tellAll(backend: Backend): void {
		if (this.clients.count === 0) return;
		const frame = linkFrame(this.pool, 0, null, { type: "backend", ...known(backend) });
		for (const client of this.clients.all) {
			if (client.isGone || (frame !== null && client.queues.output.tell(frame))) continue;
			const untold = this.#untold.get(client);
			if (untold === undefined) this.#untold.set(client, new Set([backend]));
			else untold.add(backend);
		}
		frame?.release();
	}

	/** Tells clients that have room again how it is with the backends of which they were not told. */
	#tellUntold(): void {
		for (const [client, backends] of this.#untold)
			for (const backend of backends) {
				// With another owner, or when it was removed and has come again, it is another object by now.
				const now = this.backends.get(backend.link.id) ?? backend;
				if (!this.#tell(client, { type: "backend", ...known(now) })) break;
				backends.delete(backend);
				if (backends.size === 0) this.#untold.delete(client);
			}
	}

	#refuse(client: GatewayClient, backend: number, frameClass: number, reason: RefusalReason): void {
		this.counts.refused[reason]++;
		// It sends faster than it reads that this is of no use.
		if (!this.#tell(client, { type: "refused", backend, class: frameClass, reason })) this.close(client, "too_many_held");
	}

	/** False = there is no room. */
	#tell(client: GatewayClient, message: LinkMessage): boolean {
		const frame = linkFrame(this.pool, client.id, client.queues.share, message);
		if (frame === null) return false;
		const isTaken = client.queues.output.tell(frame);
		frame.release();
		return isTaken;
	}

	readonly #buffersFreed = (): void => {
		this.#freed = null;
		this.backends.buffersFreed();
		this.peers?.buffersFreed();
	};

	readonly #tick = (): void => {
		if (this.#tickPlace <= 0) this.#beginRound();
		const { nowMs, config } = this.#parts;
		const now = nowMs();
		// What is beyond does not count for clients that take nothing: while this process stands still, it cannot notice who does.
		const stoodMs = now - this.#tickedMs - runningStepMsMax;
		this.#tickedMs = now;
		if (stoodMs > 0) this.#forgive(stoodMs, now);
		const { stalledClientTimeoutMs } = config();
		const { all } = this.clients;
		const end = Math.max(0, this.#tickPlace - this.#clientsPerTick);
		// From the end: closing one moves the last into its place.
		for (let place = Math.min(this.#tickPlace, all.length) - 1; place >= end; place--) {
			const client = all[place]!;
			if (client.isGone) continue;
			const { output } = client.queues;
			output.expire(now);
			if (output.isStalled(now, stalledClientTimeoutMs, this.#isShort)) this.close(client, "stalled");
		}
		this.#tickPlace = end;
		const ticks = Math.max(1, Math.ceil(all.length / Math.max(1, this.#clientsPerTick)));
		this.#ticker = setTimeout(this.#tick, tickMs / ticks);
	};

	/** This process stood still. */
	#forgive(stoodMs: number, now: number): void {
		for (const { queues } of this.clients.all) queues.output.tookMs = Math.min(now, queues.output.tookMs + stoodMs);
	}

	#beginRound(): void {
		const { pool, streams, clients } = this;
		this.#isShort = pool.isShort || pool.refused > this.#refusedBefore;
		this.#refusedBefore = pool.refused;
		this.#tickPlace = clients.count;
		this.#clientsPerTick = Math.max(tickClients, Math.ceil(clients.count / ticksMost));
		if (this.#untold.size > 0) this.#tellUntold();
		streams?.tick();
	}
}

function known({ link: { id, isUp }, address, name }: Backend): KnownBackend {
	return { id, address, ...(name !== "" && { name }), up: isUp };
}

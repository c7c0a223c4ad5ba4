import type { Config } from "@shardcast/config";
import type { Log } from "@shardcast/telemetry";
import type { BackendLink } from "../backends/backend-link.ts";
import { Backends, type BackendsListener } from "../backends/backends.ts";
import type { LinkOptions } from "../backends/link-options.ts";
import { BufferPool } from "../buffers/buffer-pool.ts";
import { ClientIds } from "../clients/client-ids.ts";
import { QueueMaker } from "../clients/client-queues.ts";
import { closings } from "../clients/close-codes.ts";
import type { ClientOwner, GatewayClient } from "../clients/gateway-client.ts";
import { GatewayClients } from "../clients/gateway-clients.ts";
import { type KnownBackend, type LinkMessage, linkFrame, type RefusalReason } from "../clients/link-messages.ts";
import { ClientLaneCounters } from "../lanes/client-lanes.ts";
import { type CloseCause, GatewayCounts } from "../monitor/gateway-counts.ts";
import { FromBackends } from "./from-backends.ts";
import { FromClients } from "./from-clients.ts";

interface GatewayHubParts {
	/** Read at each use. */
	readonly config: () => Config;
	readonly linkOptions: LinkOptions;
	readonly log: Pick<Log, "info" | "warn">;
	/** A client is gone: its address counts one less. */
	readonly left: (addressSlot: number) => void;
	/** Milliseconds, monotonic. */
	readonly nowMs: () => number;
}

/** How often overdue acknowledgements and stalled clients are looked for. */
const tickMs = 100;

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
	readonly #parts: GatewayHubParts;
	readonly #ids: ClientIds;
	readonly #queues: QueueMaker;
	/** Clients that are to be sent what waits for them. */
	#toPump = new Set<GatewayClient>();
	/** Changes of backends that clients had no room for, by client. */
	readonly #untold = new Map<GatewayClient, Set<BackendLink>>();
	#freed: NodeJS.Immediate | null = null;
	#ticker: NodeJS.Timeout | null = null;

	constructor(parts: GatewayHubParts) {
		const { config, linkOptions, log, nowMs } = parts;
		const { counts, clients } = this;
		this.#parts = parts;
		this.pool = new BufferPool({ memoryBytesMax: config().bufferMemoryBytes });
		this.pool.onFreed = () => {
			this.#freed ??= setImmediate(this.#buffersFreed);
		};
		this.#ids = new ClientIds({ slot: 0, isUsed: clients.has, unixTime: Date.now() / 1000 });
		this.#queues = new QueueMaker({
			config,
			counts,
			laneCounters: this.laneCounters,
			nowMs,
			pumpSoon: this.#pumpSoon,
			pass: (client, frame) => this.fromClients.pass(client, frame),
		});
		this.fromBackends = new FromBackends({ clients, counts });
		this.backends = new Backends({ options: linkOptions, listener: this.#listener(), pool: this.pool, log, nowMs });
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
	}

	start(): void {
		this.#ticker = setInterval(this.#tick, tickMs);
	}

	stop(): void {
		if (this.#ticker !== null) clearInterval(this.#ticker);
		if (this.#freed !== null) clearImmediate(this.#freed);
		this.#freed = null;
		this.backends.stop();
	}

	/** Options have changed. */
	update(): void {
		for (const { queues } of this.clients.all) this.#queues.update(queues);
	}

	opened(client: GatewayClient): void {
		const { counts, clients } = this;
		client.id = this.#ids.next();
		client.queues = this.#queues.queuesOf(client);
		client.queues.output.open(client.transport);
		clients.add(client);
		counts.opened++;
		const backends = [...this.backends.all].map(({ link }) => known(link));
		this.backends.clientJoined(client.id);
		if (!this.#tell(client, { type: "welcome", version: 1, client: client.id, backends })) this.close(client, "no_buffer");
	}

	received(client: GatewayClient, message: ArrayBuffer, isBinary: boolean): void {
		if (isBinary) this.fromClients.take(client, Buffer.from(message));
		else this.close(client, "text");
	}

	closed(client: GatewayClient): void {
		this.#parts.left(client.addressSlot);
		if (client.place < 0) return;
		this.clients.remove(client);
		client.queues.output.close();
		client.queues.intake.leave();
		this.#untold.delete(client);
		this.backends.clientLeft(client.id);
	}

	/** Closes a client; does nothing if it is closing already. */
	close(client: GatewayClient, cause: CloseCause): void {
		if (client.isGone) return;
		this.counts.closed[cause]++;
		client.isLeaving = true;
		client.queues.output.close();
		const { code, reason } = closings[cause];
		client.transport.end(code, reason);
	}

	/** Closes the clients whose tokens have expired. @param unixTime seconds since 1970. */
	closeExpired(unixTime: number): void {
		const delay = this.#parts.config().expiredCloseDelayMs / 1000;
		for (const client of this.clients.snapshot()) if (client.expiresAt + delay <= unixTime) this.close(client, "token_expired");
	}

	#listener(): BackendsListener {
		const { fromBackends } = this;
		return {
			begin: fromBackends.begin,
			onFrame: fromBackends.onFrame,
			onUp: (link) => this.#tellAll(link),
			onDown: (link) => {
				for (const client of this.clients.all) client.queues.output.forgetBackend(link.id);
				this.#tellAll(link);
			},
			onUndelivered: (link, frame) => this.fromClients.onUndelivered(link, frame),
			clients: () => this.clients.ids(),
			onAdded: ({ link }) => this.#tellAll(link),
			onRemoved: ({ link }) => {
				fromBackends.forget(link);
				this.#tellAll(link);
			},
		};
	}

	/** Tells all clients whether a backend is up. */
	#tellAll(link: BackendLink): void {
		if (this.clients.count === 0) return;
		const frame = linkFrame(this.pool, 0, { type: "backend", ...known(link) });
		for (const client of this.clients.all) {
			if (client.isGone || (frame !== null && client.queues.output.tell(frame))) continue;
			const untold = this.#untold.get(client);
			if (untold === undefined) this.#untold.set(client, new Set([link]));
			else untold.add(link);
		}
		frame?.release();
	}

	/** Tells clients that have room again how it is with the backends of which they were not told. */
	#tellUntold(): void {
		for (const [client, links] of this.#untold)
			for (const link of links) {
				if (!this.#tell(client, { type: "backend", ...known(link) })) break;
				links.delete(link);
				if (links.size === 0) this.#untold.delete(client);
			}
	}

	#refuse(client: GatewayClient, backend: number, frameClass: number, reason: RefusalReason): void {
		this.counts.refused[reason]++;
		// It sends faster than it reads that this is of no use.
		if (!this.#tell(client, { type: "refused", backend, class: frameClass, reason })) this.close(client, "too_many_held");
	}

	/** False = there is no room. */
	#tell(client: GatewayClient, message: LinkMessage): boolean {
		const frame = linkFrame(this.pool, client.id, message);
		if (frame === null) return false;
		const isTaken = client.queues.output.tell(frame);
		frame.release();
		return isTaken;
	}

	readonly #pumpSoon = (client: GatewayClient): void => {
		if (this.#toPump.size === 0) setImmediate(this.#pump);
		this.#toPump.add(client);
	};

	readonly #pump = (): void => {
		const clients = this.#toPump;
		this.#toPump = new Set();
		for (const client of clients) if (!client.isGone) client.queues.output.pump();
	};

	readonly #buffersFreed = (): void => {
		this.#freed = null;
		this.backends.buffersFreed();
	};

	readonly #tick = (): void => {
		const { nowMs, config } = this.#parts;
		const now = nowMs();
		const { stalledClientTimeoutMs } = config();
		const { all } = this.clients;
		// From the end: closing one moves the last into its place.
		for (let place = all.length - 1; place >= 0; place--) {
			const client = all[place]!;
			if (client.isGone) continue;
			const { output } = client.queues;
			output.expire(now);
			if (output.isStalled(now, stalledClientTimeoutMs)) this.close(client, "stalled");
		}
		if (this.#untold.size > 0) this.#tellUntold();
	};
}

function known({ id, address, isUp }: BackendLink): KnownBackend {
	return { id, address, up: isUp };
}

import { randomBytes } from "node:crypto";
import { gatewayBackendsMax, urlHost } from "@shardcast/config";
import type { Log } from "@shardcast/telemetry";
import type { BufferPool } from "../buffers/buffer-pool.ts";
import { canonicalHost } from "../discovery/announcement.ts";
import { SharedBuffers } from "./backend-connection.ts";
import { BackendIds } from "./backend-ids.ts";
import { BackendLink, type LinkListener } from "./backend-link.ts";
import type { LinkOptions } from "./link-options.ts";

/** Where a backend is known from. */
export type BackendOrigin = "static" | "discovered";

export interface Backend {
	readonly link: BackendLink;
	/** "host:port". */
	readonly address: string;
	/** For people; "" = none. */
	name: string;
	readonly origins: Set<BackendOrigin>;
}

export interface BackendsListener extends LinkListener {
	readonly onAdded: (backend: Backend) => void;
	readonly onRemoved: (backend: Backend) => void;
}

export interface BackendsParts {
	readonly options: LinkOptions;
	readonly listener: BackendsListener;
	readonly pool: BufferPool;
	readonly log: Pick<Log, "info" | "warn">;
	readonly backendsMax?: number;
	readonly nowMs?: () => number;
	readonly random?: () => number;
}

/**
 * The backends of a gateway, from the command line and from discovery, with a link to each. Ids begin with 1; the same address has the same id when it
 * comes back.
 *
 * One owner; all callbacks come from this thread's event loop. Bound: `backendsMax`; of more, the later ones are refused and counted.
 */
export class Backends {
	/** Backends that were not added because there were too many. */
	refused = 0;
	/** 16 hexadecimal digits that tell this process apart from other gateways. */
	readonly gatewayId = randomBytes(8).toString("hex");
	readonly #parts: BackendsParts;
	readonly #ids = new BackendIds();
	readonly #byAddress = new Map<string, Backend>();
	readonly #byId = new Map<number, Backend>();
	readonly #buffers = new SharedBuffers();

	constructor(parts: BackendsParts) {
		this.#parts = parts;
	}

	/** In the order in which they were added. */
	get all(): Iterable<Backend> {
		return this.#byId.values();
	}

	get size(): number {
		return this.#byId.size;
	}

	get(id: number): Backend | undefined {
		return this.#byId.get(id);
	}

	/** Adds a backend and dials it, or notes that it is known from here, too. @returns null when there are too many. */
	add(
		{ host, port, name = "" }: { readonly host: string; readonly port: number; readonly name?: string },
		origin: BackendOrigin,
	): Backend | null {
		const address = urlHost({ host: canonicalHost(host), port });
		const known = this.#byAddress.get(address);
		if (known !== undefined) {
			known.origins.add(origin);
			if (name !== "") known.name = name;
			return known;
		}
		const { options, listener, pool, log, backendsMax = gatewayBackendsMax, nowMs, random } = this.#parts;
		if (this.#byId.size >= backendsMax) {
			if (this.refused++ === 0) log.warn({ address }, `a backend is not used: there are ${backendsMax} others`);
			return null;
		}
		const link = new BackendLink({
			...{
				id: this.#ids.of(address),
				address,
				host,
				port,
				gatewayId: this.gatewayId,
				options,
				listener,
				pool,
				buffers: this.#buffers,
				log,
			},
			...(nowMs !== undefined && { nowMs }),
			...(random !== undefined && { random }),
		});
		const backend = { link, address, name, origins: new Set([origin]) };
		this.#byAddress.set(address, backend);
		this.#byId.set(link.id, backend);
		listener.onAdded(backend);
		link.start();
		return backend;
	}

	/** Closes and removes a backend that is known from nowhere else. */
	remove(address: string, origin: BackendOrigin): void {
		const backend = this.#byAddress.get(address);
		if (!backend?.origins.delete(origin) || backend.origins.size > 0) return;
		this.#byAddress.delete(address);
		this.#byId.delete(backend.link.id);
		backend.link.stop();
		this.#parts.listener.onRemoved(backend);
	}

	clientJoined(client: number): void {
		for (const { link } of this.#byId.values()) link.clientJoined(client);
	}

	clientLeft(client: number): void {
		for (const { link } of this.#byId.values()) link.clientLeft(client);
	}

	/** Call it soon after the pool's `onFreed`, not within. */
	buffersFreed(): void {
		for (const { link } of this.#byId.values()) link.buffersFreed();
	}

	/** Closes all links when what waits has been written, or after this time. */
	async drain(deadlineMs: number): Promise<void> {
		await Promise.all([...this.#byId.values()].map(({ link }) => link.drain(deadlineMs)));
	}

	/** Closes all links at once. */
	stop(): void {
		for (const { link } of [...this.#byId.values()]) link.stop();
	}
}

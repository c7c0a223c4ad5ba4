import { randomBytes } from "node:crypto";
import { gatewayBackendsMax, urlHost } from "@shardcast/config";
import type { BackendPlace } from "@shardcast/control";
import type { Log } from "@shardcast/telemetry";
import type { BufferPool } from "../buffers/buffer-pool.ts";
import { canonicalHost } from "../discovery/announcement.ts";
import type { Link } from "../routing/link.ts";
import { SharedBuffers } from "./backend-connection.ts";
import { BackendIds } from "./backend-ids.ts";
import { BackendLink, type LinkListener } from "./backend-link.ts";
import type { LinkOptions } from "./link-options.ts";

/** Where a backend is known from. */
export type BackendOrigin = "static" | "discovered";

export interface Backend {
	readonly link: Link;
	/** The same link, if this process is connected to the backend. */
	readonly own: BackendLink | null;
	/** "host:port". */
	readonly address: string;
	/** For people; "" = none. */
	name: string;
	origins: Set<BackendOrigin>;
}

export interface BackendsListener extends LinkListener {
	readonly onAdded: (backend: Backend) => void;
	/** It has another name. */
	readonly onNamed: (backend: Backend) => void;
	readonly onRemoved: (backend: Backend) => void;
	/** Another process is connected to the backend now: this link has ended, and another one begins. */
	readonly onReplaced?: (link: Link) => void;
}

export interface BackendsParts {
	readonly options: LinkOptions;
	readonly listener: BackendsListener;
	readonly pool: BufferPool;
	readonly log: Pick<Log, "info" | "warn">;
	/** The way to a backend to which another process is connected; null = this process is. */
	readonly remote?: (place: BackendPlace) => Link | null;
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
	/** Slots of the processes that are connected to backends, by id. */
	readonly #owners = new Map<number, number>();
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
			this.#name(known, name);
			return known;
		}
		const { log, backendsMax = gatewayBackendsMax } = this.#parts;
		if (this.#byId.size >= backendsMax) {
			if (this.refused++ === 0) log.warn({ address }, `a backend is not used: there are ${backendsMax} others`);
			return null;
		}
		const own = this.#linkTo({ id: this.#ids.of(address), address, host, port });
		return this.#start({ link: own, own, address, name, origins: new Set([origin]) });
	}

	/**
	 * For one process of several: these are the backends now, with their ids. Replaces what `add` does. A backend with another owner than before is
	 * connected again.
	 */
	use(places: readonly BackendPlace[]): void {
		const { remote, listener } = this.#parts;
		const listed = new Set(places.map(({ id }) => id));
		for (const backend of [...this.#byId.values()]) if (!listed.has(backend.link.id)) this.#end(backend);
		for (const place of places) {
			const known = this.#byId.get(place.id);
			if (known !== undefined && this.#owners.get(place.id) === place.owner) {
				known.origins = new Set(place.origins);
				this.#name(known, place.name);
				continue;
			}
			if (known !== undefined) {
				known.link.stop();
				listener.onReplaced?.(known.link);
			}
			const link = remote?.(place) ?? null;
			const own = link === null ? this.#linkTo(place) : null;
			const backend = { link: link ?? own!, own, address: place.address, name: place.name, origins: new Set(place.origins) };
			this.#owners.set(place.id, place.owner);
			if (known === undefined) this.#start(backend);
			else {
				this.#put(backend);
				backend.link.start();
			}
		}
	}

	/** Adds those static backends of the list that are new, and removes those that are not in it. The links to others stay as they are. */
	useStatic(list: readonly { readonly host: string; readonly port: number }[]): void {
		const addresses = new Set(list.map(({ host, port }) => urlHost({ host: canonicalHost(host), port })));
		// First, to make room.
		for (const { address } of [...this.#byId.values()]) if (!addresses.has(address)) this.remove(address, "static");
		for (const backend of list) this.add(backend, "static");
	}

	/** Closes and removes a backend that is known from nowhere else. */
	remove(address: string, origin: BackendOrigin): void {
		const backend = this.#byAddress.get(address);
		if (backend?.origins.delete(origin) && backend.origins.size === 0) this.#end(backend);
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

	/** The same for links through other processes alone. */
	async drainRemote(deadlineMs: number): Promise<void> {
		await Promise.all([...this.#byId.values()].filter(({ own }) => own === null).map(({ link }) => link.drain(deadlineMs)));
	}

	/** Closes all links at once. */
	stop(): void {
		for (const { link } of [...this.#byId.values()]) link.stop();
	}

	#linkTo(to: { readonly id: number; readonly address: string; readonly host: string; readonly port: number }): BackendLink {
		const { id, address, host, port } = to;
		const { options, listener, pool, log, nowMs, random } = this.#parts;
		return new BackendLink({
			...{ id, address, host, port, options, listener, pool, log, gatewayId: this.gatewayId, buffers: this.#buffers },
			...(nowMs !== undefined && { nowMs }),
			...(random !== undefined && { random }),
		});
	}

	/** @param name "" = it has not said one. */
	#name(backend: Backend, name: string): void {
		if (name === "" || name === backend.name) return;
		backend.name = name;
		this.#parts.listener.onNamed(backend);
	}

	#start(backend: Backend): Backend {
		this.#put(backend);
		this.#parts.listener.onAdded(backend);
		backend.link.start();
		return backend;
	}

	#put(backend: Backend): void {
		this.#byAddress.set(backend.address, backend);
		this.#byId.set(backend.link.id, backend);
	}

	#end(backend: Backend): void {
		this.#byAddress.delete(backend.address);
		this.#byId.delete(backend.link.id);
		this.#owners.delete(backend.link.id);
		backend.link.stop();
		this.#parts.listener.onRemoved(backend);
	}
}

import { randomBytes } from "node:crypto";
import type { BackendPlace } from "@shardcast/control";
import type { Log } from "@shardcast/telemetry";
import type { BufferPool } from "../buffers/buffer-pool.ts";
import type { Link } from "../routing/link.ts";
import { SharedBuffers } from "./backend-connection.ts";
import { BackendLink, type OwnLinkListener } from "./backend-link.ts";
import type { LinkOptions } from "./link-options.ts";

export interface Backend {
	readonly link: Link;
	/** The same link, if this process is connected to the backend. */
	readonly own: BackendLink | null;
	/** "host:port". */
	readonly address: string;
	/** For people; "" = none. */
	name: string;
}

export interface BackendsListener extends OwnLinkListener {
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
	readonly nowMs?: () => number;
	readonly random?: () => number;
}

/**
 * The backends of a gateway, with a link to each. Which there are, and their ids, comes from the `BackendDirectory`, and so does the bound.
 *
 * One owner; all callbacks come from this thread's event loop.
 */
export class Backends {
	/** 16 hexadecimal digits that tell this process apart from other gateways. */
	readonly gatewayId = randomBytes(8).toString("hex");
	readonly #parts: BackendsParts;
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

	/** These are the backends now. New ones are dialled, and the links of those that are gone closed. One with another owner is connected again. */
	use(places: readonly BackendPlace[]): void {
		const { remote, listener } = this.#parts;
		const listed = new Set(places.map(({ id }) => id));
		for (const backend of [...this.#byId.values()]) if (!listed.has(backend.link.id)) this.#end(backend);
		for (const place of places) {
			const known = this.#byId.get(place.id);
			if (known !== undefined && this.#owners.get(place.id) === place.owner) {
				this.#name(known, place.name);
				continue;
			}
			if (known !== undefined) {
				known.link.stop();
				listener.onReplaced?.(known.link);
			}
			const link = remote?.(place) ?? null;
			const own = link === null ? this.#linkTo(place) : null;
			const backend = { link: link ?? own!, own, address: place.address, name: place.name };
			this.#owners.set(place.id, place.owner);
			this.#byId.set(place.id, backend);
			if (known === undefined) listener.onAdded(backend);
			backend.link.start();
		}
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

	#linkTo({ id, address, host, port }: BackendPlace): BackendLink {
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

	#end(backend: Backend): void {
		this.#byId.delete(backend.link.id);
		this.#owners.delete(backend.link.id);
		backend.link.stop();
		this.#parts.listener.onRemoved(backend);
	}
}

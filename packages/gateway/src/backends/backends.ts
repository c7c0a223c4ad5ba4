import { randomBytes } from "node:crypto";
import { gatewayBackendsMax } from "@shardcast/config";
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

const leavingMax = gatewayBackendsMax;

/**
 * The backends of a gateway, with a link to each. Which there are, and their ids, comes from the `BackendDirectory`, and so does the bound. One that is
 * removed stays until its link has ended, and its id with it. If it is on the list again by then, it gets another link.
 *
 * One owner; all callbacks come from this thread's event loop. Bound: `leavingMax` more that are being removed; of more, the first ends at once.
 */
export class Backends {
	/** Tells this process apart from other gateways. */
	readonly #gatewayId = randomBytes(8);
	readonly #parts: BackendsParts;
	readonly #byId = new Map<number, Backend>();
	/** Slots of the processes that are connected to backends, by id. */
	readonly #owners = new Map<number, number>();
	/** Ids of backends whose links end, the first to do so first. */
	readonly #leaving = new Set<number>();
	/** The last list. */
	#places: readonly BackendPlace[] = [];
	#isStopped = false;
	readonly #buffers = new SharedBuffers();

	constructor(parts: BackendsParts) {
		this.#parts = parts;
	}

	/** In the order in which they were added, with those that are being removed. */
	get all(): Iterable<Backend> {
		return this.#byId.values();
	}

	get size(): number {
		return this.#byId.size;
	}

	/** Without those that are being removed. */
	get listed(): Backend[] {
		return [...this.#byId.values()].filter(({ link: { id } }) => !this.#leaving.has(id) || this.#isListed(id));
	}

	/** Whether it is being removed. */
	isLeaving(id: number): boolean {
		return this.#leaving.has(id);
	}

	get(id: number): Backend | undefined {
		return this.#byId.get(id);
	}

	/** These are the backends now. New ones are dialled, and the links of those that are gone end. One with another owner is connected again. */
	use(places: readonly BackendPlace[]): void {
		const { remote, listener } = this.#parts;
		this.#places = places;
		for (const backend of [...this.#byId.values()]) if (!this.#isListed(backend.link.id)) this.#leave(backend);
		for (const place of places) {
			const known = this.#byId.get(place.id);
			// It gets another link when this one has ended.
			if (this.#leaving.has(place.id)) continue;
			if (known !== undefined && this.#owners.get(place.id) === place.owner) {
				this.#name(known, place.name);
				continue;
			}
			if (known !== undefined && known.own !== null) {
				this.#leave(known);
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
		this.#isStopped = true;
		await Promise.all([...this.#byId.values()].map(({ link }) => link.drain(deadlineMs)));
	}

	/** The same for links through other processes alone. */
	async drainRemote(deadlineMs: number): Promise<void> {
		await Promise.all([...this.#byId.values()].filter(({ own }) => own === null).map(({ link }) => link.drain(deadlineMs)));
	}

	/** Closes all links at once. */
	stop(): void {
		this.#isStopped = true;
		for (const { link } of [...this.#byId.values()]) link.stop();
	}

	#linkTo({ id, address, host, port }: BackendPlace): BackendLink {
		const { options, listener, pool, log, nowMs, random } = this.#parts;
		return new BackendLink({
			...{ id, address, host, port, options, listener, pool, log, gatewayId: this.#gatewayIdFor(id), buffers: this.#buffers },
			...(nowMs !== undefined && { nowMs }),
			...(random !== undefined && { random }),
		});
	}

	/**
	 * What the gateway is called towards this backend, as 16 hexadecimal digits. Two addresses can be those of one backend, as localhost and 127.0.0.1 are:
	 * there are two links to it, and by this it finds out which connections belong together.
	 */
	#gatewayIdFor(backend: number): string {
		const id = Buffer.from(this.#gatewayId);
		id.writeUInt32BE((id.readUInt32BE(4) ^ backend) >>> 0, 4);
		return id.toString("hex");
	}

	/** @param name "" = it has not said one. */
	#name(backend: Backend, name: string): void {
		if (name === "" || name === backend.name) return;
		backend.name = name;
		this.#parts.listener.onNamed(backend);
	}

	#isListed(id: number): boolean {
		return this.#places.some((place) => place.id === id);
	}

	#leave(backend: Backend): void {
		const { id } = backend.link;
		if (this.#leaving.has(id)) return;
		const first = this.#leaving.size < leavingMax ? undefined : this.#leaving.values().next().value;
		if (first !== undefined) this.#byId.get(first)!.link.stop();
		this.#leaving.add(id);
		backend.link.leave(() => this.#left(backend));
	}

	#left(backend: Backend): void {
		const { id } = backend.link;
		this.#leaving.delete(id);
		this.#byId.delete(id);
		this.#owners.delete(id);
		this.#parts.listener.onRemoved(backend);
		if (!this.#isStopped && this.#isListed(id)) this.use(this.#places);
	}
}

import { gatewayBackendsMax, parseAddress, urlHost } from "@shardcast/config";
import type { BackendPlace } from "@shardcast/control";
import type { Log } from "@shardcast/telemetry";
import { BackendIds } from "../backends/backend-ids.ts";
import { canonicalHost } from "../discovery/announcement.ts";

type Origin = BackendPlace["origins"][number];

interface BackendDirectoryParts {
	/** Slots of the processes. */
	readonly slots: readonly number[];
	/** Called after each change, with all backends. */
	readonly onChange: (places: readonly BackendPlace[]) => void;
	readonly log: Pick<Log, "info" | "warn">;
	readonly backendsMax?: number;
}

/**
 * The backends of a gateway, from the options and from discovery, and which process owns each: that is the only one with TCP connections to it. A new
 * backend goes to the process with the fewest. It stays there until that process dies; then the others take it at once. If there is no other, it
 * waits for the restart of the process.
 *
 * Ids begin with 1; the same address has the same id when it comes back. One owner. Bound: `backendsMax`; of more, the later ones are refused and counted.
 */
export class BackendDirectory {
	/** Backends that were not added because there were too many. */
	refused = 0;
	readonly #parts: BackendDirectoryParts;
	readonly #ids = new BackendIds();
	/** By address, in the order in which they were added. */
	readonly #places = new Map<string, BackendPlace>();
	/** Slots whose process has not died. */
	readonly #live: Set<number>;

	constructor(parts: BackendDirectoryParts) {
		this.#parts = parts;
		this.#live = new Set(parts.slots);
	}

	get places(): readonly BackendPlace[] {
		return [...this.#places.values()];
	}

	/** Adds a backend, or notes that it is known from here, too. */
	add({ host, port, name = "" }: { readonly host: string; readonly port: number; readonly name?: string }, origin: Origin): void {
		if (this.#add({ host, port, name }, origin)) this.#changed();
	}

	/** Removes a backend that is known from nowhere else. */
	remove(address: string, origin: Origin): void {
		if (this.#remove(address, origin)) this.#changed();
	}

	/** Sets the backends of the options, as "host:port". */
	useStatic(backends: readonly string[]): void {
		const wanted = backends.map((text) => parseAddress(text)).map(({ host, port }) => ({ host: host!, port, name: "" }));
		const addresses = new Set(wanted.map(addressOf));
		const former = this.places.filter(({ address, origins }) => origins.includes("static") && !addresses.has(address));
		const removed = former.filter(({ address }) => this.#remove(address, "static"));
		const added = wanted.filter((backend) => this.#add(backend, "static"));
		if (removed.length + added.length > 0) this.#changed();
	}

	/** The process of this slot has died. */
	processDied(slot: number): void {
		this.#live.delete(slot);
		const moved = this.#takeOver();
		if (moved === 0) return;
		this.#parts.log.info(
			{ slot, moved },
			`gateway ${slot} has died; the other processes take over its ${moved} backend${moved === 1 ? "" : "s"}`,
		);
		this.#changed();
	}

	/** The process of this slot serves, again or for the first time. */
	processServes(slot: number): void {
		this.#live.add(slot);
		// Those of processes that died when there was no other.
		if (this.#takeOver() > 0) this.#changed();
	}

	/** Gives the backends of processes that have died to the others, if there are any. @returns how many. */
	#takeOver(): number {
		if (this.#live.size === 0) return 0;
		const left = [...this.#places].filter(([, { owner }]) => !this.#live.has(owner));
		for (const [address, place] of left) this.#places.set(address, { ...place, owner: this.#leastBusy() });
		return left.length;
	}

	#add(backend: { readonly host: string; readonly port: number; readonly name: string }, origin: Origin): boolean {
		const address = addressOf(backend);
		const known = this.#places.get(address);
		if (known !== undefined) {
			const name = backend.name === "" ? known.name : backend.name;
			if (known.origins.includes(origin) && name === known.name) return false;
			this.#places.set(address, { ...known, name, origins: [...new Set([...known.origins, origin])] });
			return true;
		}
		const { log, backendsMax = gatewayBackendsMax } = this.#parts;
		if (this.#places.size >= backendsMax) {
			if (this.refused++ === 0) log.warn({ address }, `a backend is not used: there are ${backendsMax} others`);
			return false;
		}
		this.#places.set(address, { ...backend, id: this.#ids.of(address), address, origins: [origin], owner: this.#leastBusy() });
		return true;
	}

	#remove(address: string, origin: Origin): boolean {
		const known = this.#places.get(address);
		if (!known?.origins.includes(origin)) return false;
		const origins = known.origins.filter((each) => each !== origin);
		if (origins.length === 0) this.#places.delete(address);
		else this.#places.set(address, { ...known, origins });
		return true;
	}

	/** The slot of the process with the fewest backends, the lowest of several; of those that have died only if all have. */
	#leastBusy(): number {
		const slots = this.#live.size > 0 ? this.#parts.slots.filter((slot) => this.#live.has(slot)) : this.#parts.slots;
		const counts = new Map(slots.map((slot) => [slot, 0]));
		for (const { owner } of this.#places.values()) if (counts.has(owner)) counts.set(owner, counts.get(owner)! + 1);
		return slots.reduce((best, slot) => (counts.get(slot)! < counts.get(best)! ? slot : best));
	}

	#changed(): void {
		this.#parts.onChange(this.places);
	}
}

function addressOf({ host, port }: { readonly host: string; readonly port: number }): string {
	return urlHost({ host: canonicalHost(host), port });
}

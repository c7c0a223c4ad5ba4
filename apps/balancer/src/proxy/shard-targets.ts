import { type Refusal, Refusals, type Target, type TargetRequest, type Targets, withMessage } from "@shardcast/relay";
import { ShardState } from "@shardcast/scoreboard";
import type { Candidate } from "../pick/candidate.ts";
import type { Picker } from "../pick/picker.ts";
import type { PlacementKeys } from "../pick/placement-keys.ts";
import { heldUpMs, placementMs, placementRefusal } from "../placement.ts";

/** The shards' own ports as targets of proxied connections. */
export class ShardTargets implements Targets {
	readonly waitMs = placementMs;
	readonly heldUpMs = heldUpMs;
	/** Connecting over loopback completes at once unless the shard's accept queue is full. */
	readonly dialMs = 1000;
	readonly unreachable: Refusal = withMessage(Refusals.noShard, "no shard could be reached");
	readonly #picker: Picker;
	readonly #keys: PlacementKeys;
	readonly #host: string;

	/** @param host where the shards' own ports listen. */
	constructor(picker: Picker, keys: PlacementKeys, host: string) {
		this.#picker = picker;
		this.#keys = keys;
		this.#host = host;
	}

	get mayTakeBack(): boolean {
		return this.#picker.mayTakeBack && this.#picker.candidates.some(isStandingStill);
	}

	get areHeldUp(): boolean {
		return this.#picker.allSilent;
	}

	open(): void {
		this.look();
		for (const { row } of this.#picker.candidates) row.proxiedOpen = 0;
	}

	look(): void {
		this.#picker.look();
	}

	pick({ head, bytes, address }: TargetRequest): Target | null {
		const candidate = this.#picker.pick(head.isLasting, this.#keys.of(head, bytes, address));
		return candidate === null ? null : new ShardTarget(candidate, this.#host, this.#picker);
	}

	refusal(isStopping: boolean): Refusal {
		return placementRefusal(this.#picker, isStopping);
	}
}

/** The shard that one connection goes to. */
class ShardTarget implements Target {
	readonly host: string;
	readonly port: number;
	readonly #candidate: Candidate;
	readonly #picker: Picker;

	constructor(candidate: Candidate, host: string, picker: Picker) {
		this.host = host;
		this.port = candidate.row.port;
		this.#candidate = candidate;
		this.#picker = picker;
	}

	get isStandingStill(): boolean {
		return isStandingStill(this.#candidate);
	}

	count(connections: number, lasting: number): void {
		const candidate = this.#candidate;
		candidate.own += connections;
		candidate.ownUpgrades += lasting;
		candidate.row.proxiedOpen = candidate.own;
	}

	connected(): void {}

	shun(): void {
		this.#picker.shun(this.#candidate);
	}
}

/** It is marked as serving but does not respond. */
function isStandingStill({ row, silent }: Candidate): boolean {
	return silent && row.state === ShardState.serving;
}

import {
	type HeadParser,
	headerLines,
	passedOnHeader,
	type Refusal,
	Refusals,
	type Target,
	type TargetFailure,
	type TargetLink,
	type TargetRequest,
	type Targets,
	type UnplacedRequest,
	withMessage,
} from "@shardcast/relay";
import { ShardState } from "@shardcast/scoreboard";
import type { Candidate } from "../pick/candidate.ts";
import type { Picker } from "../pick/picker.ts";
import type { PlacementKeys } from "../pick/placement-keys.ts";
import { heldUpMs, placementMs, placementRefusal } from "../placement.ts";
import { RemoteRow } from "../remote/remote-row.ts";
import type { RemoteShards } from "../remote/remote-shards.ts";

interface ShardTargetsParts {
	readonly picker: Picker;
	readonly keys: PlacementKeys;
	/** Where the shards' own ports listen. */
	readonly host: string;
	/** How connections to shards of this machine are made. */
	readonly link: TargetLink;
	readonly remotes: RemoteShards;
}

/** The shards' own ports, and remote shards, as targets of proxied connections. */
export class ShardTargets implements Targets {
	readonly waitMs = placementMs;
	readonly heldUpMs = heldUpMs;
	readonly unreachable: Refusal = withMessage(Refusals.noShard, "no shard could take the connection");
	readonly #parts: ShardTargetsParts;

	constructor(parts: ShardTargetsParts) {
		this.#parts = parts;
	}

	get mayTakeBack(): boolean {
		const { picker, remotes } = this.#parts;
		return picker.mayTakeBack && (remotes.losesOne || picker.candidates.some(isStandingStill));
	}

	areHeldUp({ head, bytes, tried }: UnplacedRequest): boolean {
		return this.#parts.picker.isHeldUp(this.#isLocal(head, bytes), remotesAmong(tried));
	}

	open(): void {
		this.look();
		for (const { row } of this.#parts.picker.candidates) row.proxiedOpen = 0;
	}

	look(): void {
		this.#parts.remotes.look(performance.now());
		this.#parts.picker.look();
	}

	pick({ head, bytes, address, tried }: TargetRequest): Target | null {
		const { picker, keys } = this.#parts;
		const key = keys.of(head, bytes, address);
		const candidate = picker.pick(head.isLasting, key, this.#isLocal(head, bytes), remotesAmong(tried));
		if (candidate === null) return null;
		return candidate.row instanceof RemoteRow ? new RemoteTarget(candidate, candidate.row, this.#parts) : this.#own(candidate);
	}

	refusal({ head, bytes, tried }: UnplacedRequest, isStopping: boolean): Refusal {
		const { picker } = this.#parts;
		return placementRefusal(picker, picker.candidatesFor(this.#isLocal(head, bytes), remotesAmong(tried)), isStopping);
	}

	#isLocal(head: HeadParser, bytes: Buffer): boolean {
		return this.#parts.remotes.rows.length === 0 || !mayLeave(head, bytes);
	}

	#own(candidate: Candidate): Target {
		const { host, link, picker } = this.#parts;
		return new ShardTarget(candidate, { host, link }, picker);
	}
}

/** The shard that one connection goes to. */
class ShardTarget implements Target {
	readonly host: string;
	readonly port: number;
	readonly link: TargetLink;
	readonly candidate: Candidate;
	readonly #picker: Picker;

	constructor(candidate: Candidate, { host, link }: Pick<Target, "host" | "link">, picker: Picker) {
		this.host = host;
		this.port = candidate.row.port;
		this.link = link;
		this.candidate = candidate;
		this.#picker = picker;
	}

	get isStandingStill(): boolean {
		return isStandingStill(this.candidate);
	}

	count(connections: number, lasting: number): void {
		const { candidate } = this;
		candidate.own += connections;
		candidate.ownUpgrades += lasting;
		candidate.row.proxiedOpen = candidate.own;
	}

	connected(): void {}

	/** What a shard of this machine answers is passed on. */
	unserved(): void {}

	shun(_failure: TargetFailure): void {
		this.#picker.shun(this.candidate);
	}
}

/** The remote shard that one connection goes to. */
class RemoteTarget extends ShardTarget {
	readonly #row: RemoteRow;
	readonly #remotes: RemoteShards;
	#isDialing = false;

	constructor(candidate: Candidate, row: RemoteRow, { picker, remotes }: Pick<ShardTargetsParts, "picker" | "remotes">) {
		super(candidate, { host: row.remote.known.host, link: remotes.link }, picker);
		this.#row = row;
		this.#remotes = remotes;
	}

	override get isStandingStill(): boolean {
		return this.#row.remote.isLost;
	}

	override count(connections: number, lasting: number): void {
		super.count(connections, lasting);
		if (connections !== 0) this.#dials(connections > 0);
	}

	override connected(): void {
		this.#row.remote.assigned.connected++;
		this.#dials(false);
	}

	override unserved(): void {
		this.#row.unserved++;
	}

	override shun(failure: TargetFailure): void {
		super.shun(failure);
		this.#remotes.failed(this.#row, failure);
	}

	#dials(is: boolean): void {
		if (is === this.#isDialing) return;
		this.#isDialing = is;
		this.#row.dialing += is ? 1 : -1;
	}
}

function remotesAmong(tried: readonly Target[]): Candidate[] {
	return tried.flatMap((target) => (target instanceof RemoteTarget ? [target.candidate] : []));
}

const feed = Buffer.from("/console/feed");

/**
 * Whether another machine may get the request. WebSockets of clients only: a publication, a call of the server API or the second request of an HTTP stream
 * must reach the bus of this machine, and the console shows this one. What another machine has passed on stays here.
 */
function mayLeave(head: HeadParser, bytes: Buffer): boolean {
	if (!head.isUpgrade || bytes.subarray(head.targetStart, head.targetEnd).indexOf(feed) === 0) return false;
	return headerLines(bytes, head.bytes, passedOnHeader) === "";
}

/** It is marked as serving but does not respond. */
function isStandingStill({ row, silent }: Candidate): boolean {
	return silent && row.state === ShardState.serving;
}

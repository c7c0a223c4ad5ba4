import { Heartbeat, monotonicMs } from "@shardcast/wire";
import { guardsOffset, partBytes } from "../board-layout.ts";
import { BoardText } from "../board-text.ts";
import { type Histograms, histogramsAt } from "../histogram-words.ts";
import {
	BalancerRowWord,
	BellWord,
	Role,
	type RowLayout,
	type ShardCounter,
	type ShardHistogram,
	type ShardOverload,
	ShardState,
	type ShardTrouble,
	ShardWord,
	SupervisorWord,
	shardCounters,
	shardHistograms,
	shardOverloads,
	shardTroubles,
} from "../scoreboard-descriptor.ts";
import { type GuardReading, GuardWords } from "./guard-words.ts";
import { ProcessRow } from "./process-row.ts";

/**
 * Most connections beyond its limit that a shard accepts for requests other than WebSockets. They are short and do not take a client's place.
 * Without this nobody could publish to a full cluster. Those that are kept open count, so a shard keeps half as many: see `BoardRow.isCrowded`.
 */
export const requestAllowance = 64;

const counterIndex = new Map<ShardCounter, number>(shardCounters.map(([name], index) => [name, index]));

/** A row as a plain object, for reports. Numbers are read one by one and may be from different instants. */
export interface RowSnapshot {
	readonly slot: number;
	readonly incarnation: number;
	readonly core: number;
	readonly connectionsMax: number;
	readonly port: number;
	readonly pid: number;
	readonly restarts: number;
	readonly state: ShardState;
	readonly connections: number;
	readonly webSockets: number;
	readonly handoffsSent: number;
	readonly handoffsReceived: number;
	readonly proxiedOpen: number;
	readonly proxiedSeen: number;
	readonly sleeping: boolean;
	readonly weight: number;
	readonly overloads: readonly ShardOverload[];
	readonly counters: Readonly<Record<ShardCounter, number>>;
	readonly guards: readonly GuardReading[];
}

/** The row of a member of the bus, such as a shard. */
export class BoardRow extends ProcessRow<ShardCounter> {
	readonly slot: number;
	/** Written by the shard, like its counters. */
	readonly histograms: Histograms<ShardHistogram>;
	/** Written by the process that watches the guards. */
	readonly guards: GuardWords;
	readonly #balancer: Int32Array;
	readonly #bell: Int32Array;
	readonly #troubleText: BoardText;

	/** @param byteOffset start of the row in the scoreboard. */
	constructor(buffer: ArrayBufferLike, slot: number, byteOffset: number, layout: RowLayout) {
		super(buffer, byteOffset, layout, counterIndex);
		const part = (offset: number) => new Int32Array(buffer, byteOffset + offset, partBytes >> 2);
		this.slot = slot;
		this.#balancer = part(layout.balancerPart);
		this.#bell = part(layout.bellPart);
		this.#troubleText = new BoardText(buffer, byteOffset + layout.troubleText, layout.troubleTextBytes);
		this.guards = new GuardWords(buffer, guardsOffset(layout, byteOffset));
		this.histograms = histogramsAt(shardHistograms, buffer, byteOffset, layout);
	}

	// Written by the supervisor.

	/** Number of processes that this slot has had. */
	get incarnation(): number {
		return Atomics.load(this.supervisor, SupervisorWord.incarnation);
	}
	set incarnation(value: number) {
		Atomics.store(this.supervisor, SupervisorWord.incarnation, value);
	}

	/** The CPU that it is pinned to; -1 = none. */
	get core(): number {
		return Atomics.load(this.supervisor, SupervisorWord.core);
	}
	set core(value: number) {
		Atomics.store(this.supervisor, SupervisorWord.core, value);
	}

	/** Most clients: its share of `--max-connections`, or what its limit of open files allows if that is less. */
	get connectionsMax(): number {
		const { connectionsGiven, connectionsFit } = this;
		return connectionsFit > 0 && connectionsFit < connectionsGiven ? connectionsFit : connectionsGiven;
	}

	/** Its share of `--max-connections`. */
	get connectionsGiven(): number {
		return Atomics.load(this.supervisor, SupervisorWord.connectionsMax);
	}
	set connectionsGiven(value: number) {
		Atomics.store(this.supervisor, SupervisorWord.connectionsMax, value);
	}

	get port(): number {
		return Atomics.load(this.supervisor, SupervisorWord.port);
	}
	set port(value: number) {
		Atomics.store(this.supervisor, SupervisorWord.port, value);
	}

	/** `none` while the slot is not a member. Otherwise its ring and bell exist. */
	get role(): Role {
		return Atomics.load(this.supervisor, SupervisorWord.role) as Role;
	}
	set role(value: Role) {
		Atomics.store(this.supervisor, SupervisorWord.role, value);
	}

	/** Whether the slot is a member. */
	get present(): boolean {
		return this.role !== Role.none;
	}

	get ringGeneration(): number {
		return Atomics.load(this.supervisor, SupervisorWord.ringGeneration);
	}
	set ringGeneration(value: number) {
		Atomics.store(this.supervisor, SupervisorWord.ringGeneration, value);
	}

	get addedEpoch(): number {
		return Atomics.load(this.supervisor, SupervisorWord.addedEpoch);
	}
	set addedEpoch(value: number) {
		Atomics.store(this.supervisor, SupervisorWord.addedEpoch, value);
	}

	/** It is to have no clients: it was drained, or is being replaced. */
	get isDrained(): boolean {
		return Atomics.load(this.supervisor, SupervisorWord.drained) !== 0;
	}
	set isDrained(value: boolean) {
		Atomics.store(this.supervisor, SupervisorWord.drained, value ? 1 : 0);
	}

	/** Whether it serves, is not drained, and has not missed its heartbeats. */
	get takesClients(): boolean {
		if (this.state !== ShardState.serving || this.isDrained) return false;
		return monotonicMs() - this.get("heartbeatMs") <= Heartbeat.silentMs;
	}

	// Written by the balancer.

	get handoffsSent(): number {
		return Atomics.load(this.#balancer, BalancerRowWord.handoffsSent);
	}
	set handoffsSent(value: number) {
		Atomics.store(this.#balancer, BalancerRowWord.handoffsSent, value);
	}

	get proxiedOpen(): number {
		return Atomics.load(this.#balancer, BalancerRowWord.proxiedOpen);
	}
	set proxiedOpen(value: number) {
		Atomics.store(this.#balancer, BalancerRowWord.proxiedOpen, value);
	}

	get handoffBatches(): number {
		return Atomics.load(this.#balancer, BalancerRowWord.handoffBatches);
	}
	set handoffBatches(value: number) {
		Atomics.store(this.#balancer, BalancerRowWord.handoffBatches, value);
	}

	get handoffsUndone(): number {
		return Atomics.load(this.#balancer, BalancerRowWord.handoffsUndone);
	}
	set handoffsUndone(value: number) {
		Atomics.store(this.#balancer, BalancerRowWord.handoffsUndone, value);
	}

	/** Its share of new clients compared with the other shards; 0 = no balancer has set it. */
	get weight(): number {
		return Atomics.load(this.#balancer, BalancerRowWord.weight);
	}
	set weight(value: number) {
		Atomics.store(this.#balancer, BalancerRowWord.weight, value);
	}

	/** Why it gets no new clients while another shard is not overloaded; empty = it does. */
	get overloads(): readonly ShardOverload[] {
		const bits = Atomics.load(this.#balancer, BalancerRowWord.overloads);
		return bits === 0 ? [] : shardOverloads.filter((_, index) => bits & (1 << index));
	}
	set overloads(names: readonly ShardOverload[]) {
		const bits = shardOverloads.reduce((sum, name, index) => (names.includes(name) ? sum | (1 << index) : sum), 0);
		Atomics.store(this.#balancer, BalancerRowWord.overloads, bits);
	}

	// The bell: set by the shard, cleared by the shard or by the process that wakes it.

	/** 0 while awake, otherwise the number of this sleep. */
	get sleeping(): number {
		return Atomics.load(this.#bell, BellWord.sleeping);
	}
	set sleeping(value: number) {
		Atomics.store(this.#bell, BellWord.sleeping, value);
	}

	/** Ends the sleep with this number, but no later one. */
	clearSleeping(sleepNumber: number): void {
		Atomics.compareExchange(this.#bell, BellWord.sleeping, sleepNumber, 0);
	}

	// Written by the shard, or by the supervisor after the shard's process was reaped.

	get connections(): number {
		return Atomics.load(this.own, ShardWord.connections);
	}
	set connections(value: number) {
		Atomics.store(this.own, ShardWord.connections, value);
	}

	get handoffsReceived(): number {
		return Atomics.load(this.own, ShardWord.handoffsReceived);
	}
	set handoffsReceived(value: number) {
		Atomics.store(this.own, ShardWord.handoffsReceived, value);
	}

	get webSockets(): number {
		return Atomics.load(this.own, ShardWord.webSockets);
	}
	set webSockets(value: number) {
		Atomics.store(this.own, ShardWord.webSockets, value);
	}

	get proxiedSeen(): number {
		return Atomics.load(this.own, ShardWord.proxiedSeen);
	}
	set proxiedSeen(value: number) {
		Atomics.store(this.own, ShardWord.proxiedSeen, value);
	}

	get epochSeen(): number {
		return Atomics.load(this.own, ShardWord.epochSeen);
	}
	set epochSeen(value: number) {
		Atomics.store(this.own, ShardWord.epochSeen, value);
	}

	/** Most clients by its process's limit of open files; 0 = no limit. */
	get connectionsFit(): number {
		return Atomics.load(this.own, ShardWord.connectionsFit);
	}
	set connectionsFit(value: number) {
		Atomics.store(this.own, ShardWord.connectionsFit, value);
	}

	/** Most open connections of any kind; Infinity = no limit. */
	get socketsMax(): number {
		const { connectionsFit } = this;
		return connectionsFit === 0 ? Number.POSITIVE_INFINITY : connectionsFit + requestAllowance;
	}

	/** It will soon be too full for requests: connections of publishers that are kept open must make room. */
	get isCrowded(): boolean {
		return this.connections >= this.connectionsMax + requestAllowance / 2;
	}

	/** Current troubles of a serving shard. */
	get troubles(): readonly ShardTrouble[] {
		const bits = Atomics.load(this.own, ShardWord.troubles);
		return shardTroubles.filter((_, index) => bits & (1 << index)).map(([name]) => name);
	}
	set troubles(names: readonly ShardTrouble[]) {
		const bits = shardTroubles.reduce((sum, [name], index) => (names.includes(name) ? sum | (1 << index) : sum), 0);
		Atomics.store(this.own, ShardWord.troubles, bits);
	}

	/** Details of each trouble, such as the name of a file. Their total length is limited: see BoardText. */
	get troubleDetails(): ReadonlyMap<ShardTrouble, string> {
		const details = new Map<ShardTrouble, string>();
		for (const line of this.#troubleText.text.split("\n")) {
			const at = line.indexOf(" ");
			if (at > 0) details.set(line.slice(0, at) as ShardTrouble, line.slice(at + 1));
		}
		return details;
	}
	set troubleDetails(details: ReadonlyMap<ShardTrouble, string>) {
		this.#troubleText.text = [...details].map(([name, detail]) => `${name} ${detail.replace(/\s+/g, " ")}`).join("\n");
	}

	snapshot(): RowSnapshot {
		const { slot, incarnation, core, connectionsMax, port, pid, restarts, state, connections, webSockets } = this;
		const { handoffsSent, handoffsReceived, proxiedOpen, proxiedSeen, weight, overloads } = this;
		const sleeping = this.sleeping !== 0;
		const processPart = { slot, incarnation, core, connectionsMax, port, pid, restarts, state };
		const loadPart = { connections, webSockets, handoffsSent, handoffsReceived, proxiedOpen, proxiedSeen, sleeping, weight, overloads };
		return { ...processPart, ...loadPart, counters: this.counterValues(), guards: this.guards.readings() };
	}
}

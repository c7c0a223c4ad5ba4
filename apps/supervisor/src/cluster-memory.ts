import { createMemberFiles, type OpenMemberFiles, openMemberFiles, releaseMember } from "@shardcast/bus";
import { ChannelLog, LogKeeper, openLogFiles } from "@shardcast/channel-log";
import { createPositionFile } from "@shardcast/kafka";
import { AddressTable, RateTable } from "@shardcast/limits";
import { DescriptorChannel, SharedFile } from "@shardcast/native";
import { type BoardReading, ClusterDirectory, type ClusterState, Role, readBoard, Scoreboard, ShardState } from "@shardcast/scoreboard";
import type { LogCapacity } from "@shardcast/wire";

/** The table is laid out once, and the limit of connections may rise later. */
const addressesLeast = 4096;

export interface MemorySizes {
	readonly shards: number;
	/** Of each member's ring. */
	readonly ringCapacityBytes: number;
	/** The logs of channels with history. */
	readonly history: LogCapacity;
	/** Whether shards read Kafka: then there is a position table. */
	readonly positions: boolean;
}

/**
 * The supervisor's part of the cluster's shared memory: makes the directory, the scoreboard and the members' files, keeps the rows' own
 * words true, clears up after dead processes. One instance, one writer.
 */
export class ClusterMemory {
	readonly #directory: ClusterDirectory;
	readonly #board: Scoreboard;
	readonly #members: OpenMemberFiles;
	/** Finds processes that keep a log's lock, and frees the locks of dead ones. */
	readonly logs: LogKeeper;
	/** Where each shard's connections lie until it takes them, by slot; none in proxy mode. */
	#handoffs: readonly DescriptorChannel[] = [];
	/** Null while nobody limits the connections of an address. */
	#addresses: AddressTable | null = null;

	private constructor(directory: ClusterDirectory, board: Scoreboard) {
		this.#directory = directory;
		this.#board = board;
		this.#members = openMemberFiles(directory, board);
		this.logs = new LogKeeper(openLogFiles(directory.path).memories);
	}

	/**
	 * @throws NativeError or BusError when the shared memory can't be made; nothing is left behind then.
	 */
	static create(base: string, { shards, ringCapacityBytes, history, positions }: MemorySizes): ClusterMemory {
		const directory = ClusterDirectory.create(base);
		try {
			const board = Scoreboard.create(directory.boardPath);
			if (positions) createPositionFile(directory.path);
			ChannelLog.create(directory.path, history);
			SharedFile.create(directory.ratesPath, RateTable.bytes, RateTable.format);
			for (let shard = 0; shard < shards; shard++)
				createMemberFiles(directory, board, board.freeSlot(), { capacityBytes: ringCapacityBytes, role: Role.shard });
			return new ClusterMemory(directory, board);
		} catch (error) {
			directory.remove();
			throw error;
		}
	}

	/** For those that only read it. */
	get board(): Scoreboard {
		return this.#board;
	}

	get path(): string {
		return this.#directory.path;
	}

	/** A new process of this shard exists and is about to be told to start. */
	shardStarts(
		slot: number,
		process: { incarnation: number; pid: number; core: number | null; port: number; connectionsMax: number },
	): void {
		const row = this.#board.row(slot);
		row.incarnation = process.incarnation;
		row.restarts = process.incarnation - 1;
		row.core = process.core ?? -1;
		row.port = process.port;
		row.connectionsGiven = process.connectionsMax;
		row.pid = process.pid;
		row.state = ShardState.starting;
	}

	/** Holds at once, for the balancer that picks and the shard that takes. */
	limitShards(connectionsMax: number): void {
		for (const row of this.#board.rows()) row.connectionsGiven = connectionsMax;
	}

	/**
	 * Makes the table in which shards count the connections of each address and of each user, if there is none yet. Before a shard is told of the limit.
	 * @throws NativeError ENOSPC when the shared memory has no room for it.
	 */
	countAddresses(connectionsPerShard: number): void {
		if (this.#addresses !== null) return;
		// Each connection may be counted twice.
		const connections = 2 * Math.max(connectionsPerShard, addressesLeast);
		const used = this.#board.slots().length;
		const slots = Math.max(used, AddressTable.slotsThatFit(this.#board.slotsMax, connections));
		const bytes = (count: number) => AddressTable.bytes(count, connections);
		const format = (buffer: ArrayBuffer) => AddressTable.format(buffer, slots, connections);
		const file = SharedFile.create(this.#directory.addressesPath, bytes(slots), format, bytes(used));
		this.#addresses = new AddressTable(file.buffer);
		this.#addresses.useSlots(used);
	}

	/**
	 * Makes the sockets over which connections are handed to the shards. They are the cluster's, and not the shards': what a shard has not
	 * taken when it dies waits for its successor, or is taken back by the balancer.
	 */
	openHandoffs(): void {
		this.#handoffs = this.#board.slots().map((slot) => DescriptorChannel.bind(this.#directory.handoffPath(slot)));
	}

	/** The ends of these sockets that a shard is to inherit; without a slot all of them, for the balancer. */
	handoffDescriptors(slot?: number): readonly number[] {
		const channels = slot === undefined ? this.#handoffs : this.#handoffs.slice(slot, slot + 1);
		return channels.map(({ descriptor }) => descriptor);
	}

	shardDied(slot: number): void {
		// First, so that whoever sees the state "dead" sees no pid that may soon be somebody else's.
		const row = this.#board.row(slot);
		row.pid = 0;
		this.#addresses?.clear(slot);
		// Before the others are woken: they are to read what it had published.
		this.logs.memberDied(slot, row.incarnation);
		releaseMember(this.#directory, this.#board, slot, this.#members);
	}

	shardBeatMs(slot: number): number {
		return this.#board.row(slot).get("heartbeatMs");
	}

	shardConnections(slot: number): number {
		return this.#board.row(slot).connections;
	}

	balancerStarts(incarnation: number, pid: number): void {
		this.#board.balancer.restarts = incarnation - 1;
		this.#board.balancer.pid = pid;
	}

	balancerDied(): void {
		this.#board.balancer.release();
	}

	balancerBeatMs(): number {
		return this.#board.balancer.get("heartbeatMs");
	}

	/** Connections that it has neither handed on nor answered; those that it proxies count at their shards. */
	balancerPending(): number {
		return this.#board.balancer.pending;
	}

	/** Its listener is closed, though it may still carry connections. */
	get balancerDrains(): boolean {
		return this.#board.balancer.state === ShardState.draining;
	}

	set state(state: ClusterState) {
		this.#board.clusterState = state;
	}

	/** Everything, for the metrics. */
	reading(): BoardReading {
		return readBoard(this.#board);
	}

	/** Clients that are connected now. */
	connections(): number {
		return this.#board.rows().reduce((sum, row) => sum + row.connections, 0);
	}

	/** The last thing. The scoreboard stays mapped until this process ends: someone may be about to read it. */
	remove(): void {
		for (const channel of this.#handoffs) channel.close();
		this.#directory.remove();
	}
}

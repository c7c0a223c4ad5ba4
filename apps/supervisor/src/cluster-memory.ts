import { rmSync } from "node:fs";
import { createMemberFiles, isReadByAll, type OpenMemberFiles, openMemberFiles, releaseMember, removeMemberFiles } from "@shardcast/bus";
import { ChannelLog, LogKeeper, openLogFiles } from "@shardcast/channel-log";
import { createPositionFile } from "@shardcast/kafka";
import { AddressTable, RateTable } from "@shardcast/limits";
import { DescriptorChannel, SharedFile } from "@shardcast/native";
import { type BoardReading, ClusterDirectory, type ClusterState, Role, readBoard, Scoreboard, ShardState } from "@shardcast/scoreboard";
import { type CollectedRing, createEventRing, type EventReader } from "@shardcast/webhooks";
import type { LogCapacity } from "@shardcast/wire";

/**
 * Connections for which each shard's part of the table of addresses has room. It is created once, while the limit may be raised later, and a shard gets
 * the connections of those that are drained or removed. So a part has room for all connections up to `scaled`, and else for those of one more shard.
 */
const addressSizes = { least: 4096, scaled: 25_000, bytesMax: 2 ** 31 - 1 };

interface MemorySizes {
	readonly shards: number;
	/** Capacity of each member's ring. */
	readonly ringCapacityBytes: number;
	/** The logs of channels with history; null = none. */
	readonly history: LogCapacity | null;
	/** Whether to create a position table, for shards that read Kafka. */
	readonly positions: boolean;
}

/**
 * The supervisor's part of the cluster's shared memory: creates the directory, the scoreboard and the members' files, updates its words in the
 * rows, and cleans up after dead processes. One instance.
 */
export class ClusterMemory {
	readonly #directory: ClusterDirectory;
	readonly #board: Scoreboard;
	#members: OpenMemberFiles;
	readonly #ringCapacityBytes: number;
	/** Finds processes that do not release a log's lock, and frees the locks of dead ones; null = there are no logs. */
	readonly logs: LogKeeper | null;
	/** Sockets that hold connections until their shard receives them, by slot; none in proxy mode. */
	#handoffs: DescriptorChannel[] = [];
	/** Holds connections while the balancer is replaced; null in proxy mode. */
	#left: DescriptorChannel | null = null;
	/** The rings for client events, by slot; null while there is no webhook. */
	#eventRings: Map<number, CollectedRing> | null = null;
	/** Null while connections per address are not limited. */
	#addresses: {
		readonly table: AddressTable;
		/** Connections of a shard that are surely counted. */
		readonly perShard: number;
		/** Throws when there is no room for so many. */
		readonly reserve: (slots: number) => void;
	} | null = null;

	private constructor(directory: ClusterDirectory, board: Scoreboard, hasLogs: boolean, ringCapacityBytes: number) {
		this.#ringCapacityBytes = ringCapacityBytes;
		this.#directory = directory;
		this.#board = board;
		this.#members = openMemberFiles(directory, board);
		this.logs = hasLogs ? new LogKeeper(openLogFiles(directory.path).memories) : null;
	}

	/** @throws NativeError or BusError when the shared memory cannot be created. Then nothing is left behind. */
	static create(base: string, { shards, ringCapacityBytes, history, positions }: MemorySizes): ClusterMemory {
		const directory = ClusterDirectory.create(base);
		try {
			const board = Scoreboard.create(directory.boardPath);
			if (positions) createPositionFile(directory.path);
			if (history !== null) ChannelLog.create(directory.path, history);
			SharedFile.create(directory.ratesPath, RateTable.bytes, RateTable.format);
			for (let shard = 0; shard < shards; shard++)
				createMemberFiles(directory, board, board.freeSlot(), { capacityBytes: ringCapacityBytes, role: Role.shard });
			return new ClusterMemory(directory, board, history !== null, ringCapacityBytes);
		} catch (error) {
			directory.remove();
			throw error;
		}
	}

	/** The scoreboard, for reading. */
	get board(): Scoreboard {
		return this.#board;
	}

	get path(): string {
		return this.#directory.path;
	}

	/**
	 * Makes one more slot a shard's, with all its files. Its process does not run yet, and it is drained. In handoff mode a running balancer cannot
	 * take back what is in the new socket; one that is started afterwards can.
	 * @returns the slot. @throws NativeError ENOSPC when shared memory has no room; nothing is left behind.
	 */
	addShard(): number {
		const directory = this.#directory;
		const slot = this.#board.freeSlot();
		const row = this.#board.row(slot);
		// Until it serves, nobody waits for it, and the others keep their connections. First, since it is seen from the next line on.
		row.isDrained = true;
		try {
			createMemberFiles(directory, this.#board, slot, { capacityBytes: this.#ringCapacityBytes, role: Role.shard });
			row.connectionsGiven = 0;
			this.#addresses?.reserve(slot + 1);
			this.#eventRings?.set(slot, createEventRing(directory.path, slot));
			if (this.#left !== null) this.#handoffs[slot] = DescriptorChannel.bind(directory.handoffPath(slot));
			this.#openMembers();
			return slot;
		} catch (error) {
			this.removeShard(slot);
			throw error;
		}
	}

	/** Whether nothing is left of a shard whose process has ended: no connection on its way to it, and no record that another shard has not read. */
	isDone(slot: number): boolean {
		const row = this.#board.row(slot);
		return ((row.handoffsSent - row.handoffsUndone - row.handoffsReceived) | 0) <= 0 && isReadByAll(this.#board, this.#members, slot);
	}

	/** Frees the slot of a shard whose process has ended, and whose events nobody reads any more: the highest one, so that slots stay without gaps. */
	removeShard(slot: number): void {
		removeMemberFiles(this.#directory, this.#board, slot);
		this.#board.row(slot).isDrained = false;
		const path = this.#directory.handoffPath(slot);
		for (const channel of this.#handoffs.splice(slot)) channel.close();
		rmSync(path, { force: true });
		this.#eventRings?.get(slot)?.remove();
		this.#eventRings?.delete(slot);
		this.#openMembers();
	}

	#openMembers(): void {
		const before = this.#members;
		this.#members = openMemberFiles(this.#directory, this.#board);
		before.close();
	}

	/** Call when a new process of this shard exists, before its start message is sent. */
	shardStarts(
		slot: number,
		process: { incarnation: number; restarts: number; pid: number; core: number | null; port: number; connectionsMax: number },
	): void {
		const row = this.#board.row(slot);
		row.incarnation = process.incarnation;
		row.restarts = process.restarts;
		row.core = process.core ?? -1;
		row.port = process.port;
		row.connectionsGiven = process.connectionsMax;
		row.pid = process.pid;
		// Now, since the new process may serve before the watch looks again. Not at the death: looks until here show that they still act.
		row.guards.end();
		row.state = ShardState.starting;
	}

	/** Number of shards that are not drained, which share `--max-connections`; at least 1. */
	get takers(): number {
		return Math.max(1, this.#board.rows().filter(({ isDrained }) => !isDrained).length);
	}

	/** Sets the shards' limits. Takes effect at once, in the balancer and in the shards. */
	limitShards(connectionsMax: number): void {
		for (const row of this.#board.rows()) row.connectionsGiven = connectionsMax;
	}

	/**
	 * Creates the table in which shards count the connections per address and user, if it does not exist. Call before a shard gets the limit.
	 * @param connectionsMax of all shards together. @throws NativeError ENOSPC when the shared memory has no room for it.
	 */
	countAddresses(connectionsMax: number, sizes: Partial<typeof addressSizes> = {}): void {
		if (this.#addresses !== null) return;
		const { least, scaled, bytesMax } = { ...addressSizes, ...sizes };
		const used = this.#board.slots().length;
		// A rolling restart drains them one by one.
		const whileOneIsDrained = Math.ceil(connectionsMax / Math.max(1, used - 1));
		const perShard = Math.max(least, whileOneIsDrained, Math.min(connectionsMax, scaled));
		// A connection may be counted twice, by address and by user.
		const connections = 2 * perShard;
		const slots = Math.max(used, AddressTable.slotsThatFit(this.#board.slotsMax, connections, bytesMax));
		const bytes = (count: number) => AddressTable.bytes(count, connections);
		const format = (buffer: ArrayBuffer) => AddressTable.format(buffer, slots, connections);
		const file = SharedFile.create(this.#directory.addressesPath, bytes(slots), format, bytes(used));
		const table = new AddressTable(file.buffer);
		table.useSlots(used);
		this.#addresses = {
			table,
			perShard,
			reserve: (count) => {
				if (count > slots) {
					const what = `the table of connections per address and user was made for ${slots} shards with ${perShard} connections each`;
					throw new Error(`${what}; restart the cluster with --shards ${count}`);
				}
				file.reserve(bytes(count));
				table.useSlots(count);
			},
		};
	}

	/** What people should know when each shard may have so many connections: null = all are counted by address and user, or none is. */
	uncounted(connectionsPerShard: number): string | null {
		const room = this.#addresses?.perShard ?? connectionsPerShard;
		if (connectionsPerShard <= room) return null;
		return `a shard may have ${connectionsPerShard} connections now, but the table of connections per address and user was made for ${room}: those that do not fit are not limited by --max-connections-per-ip and --user-connection-limit, but counted in shardcast_addresses_lost_total; a restart of the cluster makes a larger one`;
	}

	/**
	 * The reading ends of the rings for client events. Creates the rings if they do not exist. Call it before a shard gets the options of a webhook.
	 * @throws NativeError ENOSPC when shared memory is too small for them; none is left then.
	 */
	eventReaders(): ReadonlyMap<number, EventReader> {
		this.#eventRings ??= this.#createEventRings();
		return new Map([...this.#eventRings].map(([slot, { reader }]) => [slot, reader]));
	}

	#createEventRings(): Map<number, CollectedRing> {
		const rings = new Map<number, CollectedRing>();
		try {
			for (const slot of this.#board.slots()) rings.set(slot, createEventRing(this.#directory.path, slot));
			return rings;
		} catch (error) {
			for (const ring of rings.values()) ring.remove();
			throw error;
		}
	}

	/**
	 * Creates the handoff sockets. They belong to the cluster, not to the shards: connections that a shard has not received when it dies wait for its
	 * successor, or the balancer takes them back.
	 */
	openHandoffs(): void {
		this.#handoffs = this.#board.slots().map((slot) => DescriptorChannel.bind(this.#directory.handoffPath(slot)));
		this.#left = DescriptorChannel.bind(this.#directory.balancerPath);
	}

	/** The receiving ends that a shard inherits; without a slot, all of them, for the balancer. */
	handoffDescriptors(slot?: number): readonly number[] {
		const channels = slot === undefined ? this.#handoffs : this.#handoffs.slice(slot, slot + 1);
		return channels.map(({ descriptor }) => descriptor);
	}

	/** The receiving end of the socket in which a balancer leaves connections to its successor; null in proxy mode. */
	get leftDescriptor(): number | null {
		return this.#left?.descriptor ?? null;
	}

	shardDied(slot: number): void {
		// First, so that readers who see the state "dead" do not see a pid that may be reused.
		const row = this.#board.row(slot);
		row.pid = 0;
		this.#addresses?.table.clear(slot);
		// Before the others are woken, since they will read what it had published.
		this.logs?.memberDied(slot, row.incarnation);
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

	/** Connections that the balancer has neither passed on nor answered. Proxied ones count at their shards. */
	balancerPending(): number {
		return this.#board.balancer.pending;
	}

	/** Whether the balancer's listener is closed, although it may still carry connections. */
	get balancerDrains(): boolean {
		return this.#board.balancer.state === ShardState.draining;
	}

	set state(state: ClusterState) {
		this.#board.clusterState = state;
	}

	/** The whole scoreboard, for the metrics. */
	reading(): BoardReading {
		return readBoard(this.#board);
	}

	/** Number of connected clients. */
	connections(): number {
		return this.#board.rows().reduce((sum, row) => sum + row.connections, 0);
	}

	/** Removes all files. Call last. The scoreboard stays mapped until this process ends, since it may still be read. */
	remove(): void {
		for (const channel of this.#handoffs) channel.close();
		this.#left?.close();
		this.#directory.remove();
	}
}

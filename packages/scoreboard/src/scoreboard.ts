import { SharedFile } from "@shardcast/native";
import { type ChannelHashKey, randomChannelHashKey } from "@shardcast/wire";
import { boardBytes, describeLayout, guardsOffset, readLayout, rowOffset } from "./board-layout.ts";
import { BoardText } from "./board-text.ts";
import { BusError, BusErrorCode } from "./bus-error.ts";
import type { NodeSummary } from "./health.ts";
import { BalancerRow } from "./rows/balancer-row.ts";
import { BoardRow } from "./rows/board-row.ts";
import { GuardWords } from "./rows/guard-words.ts";
import { BoardLayout, ClusterState, HeaderWord, Role, type RowLayout, ServiceRow, SupervisorWord } from "./scoreboard-descriptor.ts";

/** In characters; JSON writes each as one or two bytes. */
const reasonMax = 400;

/**
 * The scoreboard of a cluster: its processes and their states. The supervisor creates it, and every process maps it. The balancer picks shards
 * by it; health and metrics are read from it. See scoreboard-descriptor.ts for the writer of each part.
 */
export class Scoreboard {
	/** Number of slots, members or not. */
	readonly slotsMax: number;
	readonly balancer: BalancerRow;
	/** Those about the whole cluster; each row has those about its shard. Written by the process that watches them. */
	readonly guards: GuardWords;
	/** What the supervisor tells of itself: see `node`. */
	readonly #told: BoardText;
	readonly #file: SharedFile | null;
	readonly #words: Int32Array;
	readonly #layout: RowLayout;
	/** By slot; created on first use. */
	readonly #rows: BoardRow[] = [];

	private constructor(buffer: ArrayBufferLike, file: SharedFile | null, layout: RowLayout) {
		this.#file = file;
		this.#words = new Int32Array(buffer);
		this.#layout = layout;
		this.slotsMax = this.#words[HeaderWord.slots]!;
		this.balancer = new BalancerRow(buffer, rowOffset(layout, this.slotsMax + ServiceRow.balancer), layout);
		const supervisor = rowOffset(layout, this.slotsMax + ServiceRow.supervisor);
		this.guards = new GuardWords(buffer, guardsOffset(layout, supervisor));
		this.#told = new BoardText(buffer, supervisor + layout.troubleText, layout.troubleTextBytes);
	}

	static bytes(slots: number = BoardLayout.slotsMax): number {
		return boardBytes(BoardLayout, slots);
	}

	/** Called by the supervisor. The file gets its name when it is complete. Each row takes 8 KiB, used or not. */
	static create(path: string, slots: number = BoardLayout.slotsMax): Scoreboard {
		const file = SharedFile.create(path, boardBytes(BoardLayout, checkSlots(slots)), (buffer) => format(buffer, slots));
		return new Scoreboard(file.buffer, file, BoardLayout);
	}

	/** @throws BusError when the file is not a scoreboard that this program can use: see `readLayout`. */
	static open(path: string): Scoreboard {
		const file = SharedFile.open(path);
		try {
			return new Scoreboard(file.buffer, file, readLayout(file.buffer, path));
		} catch (error) {
			file.close();
			throw error;
		}
	}

	/** For a cluster within one process, and for tests. */
	static inMemory(slots: number): Scoreboard {
		const buffer = new SharedArrayBuffer(boardBytes(BoardLayout, checkSlots(slots)));
		format(buffer, slots);
		return new Scoreboard(buffer, null, BoardLayout);
	}

	get supervisorPid(): number {
		return this.#supervisorWord(this.slotsMax + ServiceRow.supervisor, SupervisorWord.pid);
	}

	/** Written by the supervisor. */
	get clusterState(): ClusterState {
		return Atomics.load(this.#words, HeaderWord.clusterState) as ClusterState;
	}
	set clusterState(value: ClusterState) {
		Atomics.store(this.#words, HeaderWord.clusterState, value);
	}

	/** This node of several; null if it works alone. Written by the supervisor. */
	get node(): NodeSummary | null {
		const { text } = this.#told;
		return text === "" ? null : (JSON.parse(text) as NodeSummary);
	}
	set node(node: NodeSummary) {
		const { reason, ...glance } = node;
		// What is too long would be cut off, and no JSON.
		const short = reason?.replace(/[^ -~]/g, "?").slice(0, reasonMax);
		this.#told.text = JSON.stringify(short === undefined ? glance : { ...glance, reason: short });
	}

	/** The secret key with which all members hash channel names: see `useChannelHashKey`. Chosen at creation; never changes. */
	get channelHashKey(): ChannelHashKey {
		return [this.#words[HeaderWord.channelHashKey0]!, this.#words[HeaderWord.channelHashKey1]!];
	}

	/** Changes whenever a record with high priority has been written to a ring, by any member. */
	get urgentRecords(): number {
		return Atomics.load(this.#words, HeaderWord.urgentRecords);
	}

	/** Call after the record has been written. */
	countUrgentRecord(): void {
		Atomics.add(this.#words, HeaderWord.urgentRecords, 1);
	}

	/** Changes whenever a member is added or removed. */
	get membershipEpoch(): number {
		return Atomics.load(this.#words, HeaderWord.membershipEpoch);
	}

	/** Called by the supervisor after it has changed which rows are present. */
	bumpMembership(): void {
		Atomics.add(this.#words, HeaderWord.membershipEpoch, 1);
	}

	/** @throws BusError for a slot out of range. */
	row(slot: number): BoardRow {
		if (!Number.isInteger(slot) || slot < 0 || slot >= this.slotsMax)
			throw new BusError(BusErrorCode.noSuchMember, `slot ${slot}`, `this scoreboard has slots 0 to ${this.slotsMax - 1}`);
		const row = this.#rows[slot] ?? new BoardRow(this.#words.buffer, slot, rowOffset(this.#layout, slot), this.#layout);
		this.#rows[slot] = row;
		return row;
	}

	/** Slots of current shards, ascending. */
	slots(): number[] {
		return this.#slotsOf((role) => role === Role.shard);
	}

	/** Rows of current shards, ascending. */
	rows(): BoardRow[] {
		return this.slots().map((slot) => this.row(slot));
	}

	/** Rows of all current readers of the bus, whatever their role, ascending. */
	members(): BoardRow[] {
		return this.#slotsOf((role) => role !== Role.none).map((slot) => this.row(slot));
	}

	/**
	 * The lowest free slot. A slot whose last process has not been reaped is not free. Called only by the supervisor, which assigns slots.
	 * @throws BusError when all are taken.
	 */
	freeSlot(): number {
		for (let slot = 0; slot < this.slotsMax; slot++) if (!this.row(slot).present && this.row(slot).pid === 0) return slot;
		throw new BusError(BusErrorCode.noSuchMember, `all ${this.slotsMax} slots are taken`, "give fewer --shards");
	}

	#slotsOf(wanted: (role: number) => boolean): number[] {
		const slots: number[] = [];
		for (let slot = 0; slot < this.slotsMax; slot++) if (wanted(this.#supervisorWord(slot, SupervisorWord.role))) slots.push(slot);
		return slots;
	}

	#supervisorWord(index: number, word: number): number {
		return Atomics.load(this.#words, ((rowOffset(this.#layout, index) + this.#layout.supervisorPart) >> 2) + word);
	}

	/** Unmaps the scoreboard. Neither it nor its rows may be used afterwards. */
	close(): void {
		this.#file?.close();
	}
}

function checkSlots(slots: number): number {
	if (!Number.isInteger(slots) || slots < 1 || slots > BoardLayout.slotsMax)
		throw new BusError(BusErrorCode.noSuchMember, `a scoreboard of ${slots} slots`, `it can have 1 to ${BoardLayout.slotsMax}`);
	return slots;
}

function format(buffer: ArrayBufferLike, slots: number): void {
	const words = new Int32Array(buffer);
	describeLayout(words);
	words[HeaderWord.slots] = slots;
	words[HeaderWord.clusterState] = ClusterState.starting;
	[words[HeaderWord.channelHashKey0], words[HeaderWord.channelHashKey1]] = randomChannelHashKey();
	const service = (row: number, word: number) => (rowOffset(BoardLayout, slots + row) + BoardLayout.supervisorPart) / 4 + word;
	words[service(ServiceRow.balancer, SupervisorWord.role)] = Role.balancer;
	words[service(ServiceRow.supervisor, SupervisorWord.role)] = Role.supervisor;
	words[service(ServiceRow.supervisor, SupervisorWord.pid)] = process.pid;
	Atomics.store(words, HeaderWord.magic, BoardLayout.magic);
}

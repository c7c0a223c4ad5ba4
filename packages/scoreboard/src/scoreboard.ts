import { SharedFile } from "@shardcast/native";
import { type ChannelHashKey, randomChannelHashKey } from "@shardcast/wire";
import { BalancerBlock } from "./balancer-block.ts";
import { BoardRow } from "./board-row.ts";
import { BusError, BusErrorCode } from "./bus-error.ts";
import { BoardLayout, ClusterState, HeaderWord } from "./scoreboard-descriptor.ts";

/**
 * The scoreboard of a cluster: who is there, how they fare. The supervisor makes it, every process maps it; the balancer
 * picks from it, health and metrics are read off it. See scoreboard-descriptor.ts for who writes what.
 */
export class Scoreboard {
	/** Rows that there are, present or not. */
	readonly slotsMax: number;
	readonly balancer: BalancerBlock;
	readonly #file: SharedFile | null;
	readonly #words: Int32Array;
	readonly #rows: readonly BoardRow[];

	private constructor(buffer: ArrayBufferLike, file: SharedFile | null) {
		this.#file = file;
		this.#words = new Int32Array(buffer, 0, BoardLayout.headerBytes >> 2);
		this.slotsMax = this.#words[HeaderWord.slots];
		this.balancer = new BalancerBlock(buffer);
		this.#rows = Array.from({ length: this.slotsMax }, (_, slot) => new BoardRow(buffer, slot, rowOffset(slot)));
	}

	/** For the supervisor. The file gets its name when it is complete. */
	static create(path: string, slots: number): Scoreboard {
		const file = SharedFile.create(path, rowOffset(checkSlots(slots)), (buffer) => format(buffer, slots));
		return new Scoreboard(file.buffer, file);
	}

	/** @throws BusError when the file is no scoreboard of this version. */
	static open(path: string): Scoreboard {
		const file = SharedFile.open(path);
		try {
			checkBoard(file.buffer, path);
		} catch (error) {
			file.close();
			throw error;
		}
		return new Scoreboard(file.buffer, file);
	}

	/** For a cluster within one process, and for tests. */
	static inMemory(slots: number): Scoreboard {
		const buffer = new SharedArrayBuffer(rowOffset(checkSlots(slots)));
		format(buffer, slots);
		return new Scoreboard(buffer, null);
	}

	get supervisorPid(): number {
		return Atomics.load(this.#words, HeaderWord.supervisorPid);
	}

	/** Written by the supervisor. */
	get clusterState(): ClusterState {
		return Atomics.load(this.#words, HeaderWord.clusterState) as ClusterState;
	}
	set clusterState(value: ClusterState) {
		Atomics.store(this.#words, HeaderWord.clusterState, value);
	}

	/** How often the balancer was started again. Written by the supervisor. */
	get balancerRestarts(): number {
		return Atomics.load(this.#words, HeaderWord.balancerRestarts);
	}
	set balancerRestarts(value: number) {
		Atomics.store(this.#words, HeaderWord.balancerRestarts, value);
	}

	/** The secret by which all members hash channel names: see `useChannelHashKey`. Chosen with the scoreboard, the same for its whole life. */
	get channelHashKey(): ChannelHashKey {
		return [this.#words[HeaderWord.channelHashKey0]!, this.#words[HeaderWord.channelHashKey1]!];
	}

	/** Changes whenever a member came or went. */
	get membershipEpoch(): number {
		return Atomics.load(this.#words, HeaderWord.membershipEpoch);
	}

	/** Written by the supervisor, after the rows that tell who is present. */
	bumpMembership(): void {
		Atomics.add(this.#words, HeaderWord.membershipEpoch, 1);
	}

	/** @throws BusError when there is no such row. */
	row(slot: number): BoardRow {
		const row = this.#rows[slot];
		if (row === undefined)
			throw new BusError(BusErrorCode.noSuchMember, `slot ${slot}`, `this scoreboard has slots 0 to ${this.slotsMax - 1}`);
		return row;
	}

	/** The slots that are members now, ascending. */
	slots(): number[] {
		return this.rows().map((row) => row.slot);
	}

	/** The rows of those that are members now. */
	rows(): BoardRow[] {
		return this.#rows.filter((row) => row.present);
	}

	/** Unmaps it. The caller promises that nobody uses it, or a row of it, any more. */
	close(): void {
		this.#file?.close();
	}
}

function rowOffset(slot: number): number {
	return BoardLayout.headerBytes + BoardLayout.balancerBytes + slot * BoardLayout.rowBytes;
}

function checkSlots(slots: number): number {
	if (!Number.isInteger(slots) || slots < 1 || slots > BoardLayout.slotsMax)
		throw new BusError(BusErrorCode.noSuchMember, `a scoreboard of ${slots} slots`, `it can have 1 to ${BoardLayout.slotsMax}`);
	return slots;
}

function format(buffer: ArrayBufferLike, slots: number): void {
	const words = new Int32Array(buffer, 0, BoardLayout.headerBytes >> 2);
	words[HeaderWord.version] = BoardLayout.version;
	words[HeaderWord.slots] = slots;
	words[HeaderWord.supervisorPid] = process.pid;
	words[HeaderWord.clusterState] = ClusterState.starting;
	[words[HeaderWord.channelHashKey0], words[HeaderWord.channelHashKey1]] = randomChannelHashKey();
	Atomics.store(words, HeaderWord.magic, BoardLayout.magic);
}

function checkBoard(buffer: ArrayBufferLike, path: string): void {
	const words =
		buffer.byteLength < BoardLayout.headerBytes
			? new Int32Array(BoardLayout.headerBytes >> 2)
			: new Int32Array(buffer, 0, BoardLayout.headerBytes >> 2);
	const again = "run the same build in all processes of a cluster";
	if (words[HeaderWord.magic] !== BoardLayout.magic) throw new BusError(BusErrorCode.notABoard, `${path} is no scoreboard`, again);
	const version = words[HeaderWord.version];
	if (version !== BoardLayout.version)
		throw new BusError(BusErrorCode.notABoard, `${path} has version ${version}, this program reads ${BoardLayout.version}`, again);
	const slots = words[HeaderWord.slots];
	if (buffer.byteLength < rowOffset(slots))
		throw new BusError(BusErrorCode.notABoard, `${path} has ${buffer.byteLength} bytes, not enough for ${slots} slots`, again);
}

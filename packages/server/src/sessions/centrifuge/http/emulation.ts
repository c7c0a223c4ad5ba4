import type { BusLink } from "@shardcast/bus";
import { RateLimit } from "@shardcast/limits";
import { DisconnectCode } from "@shardcast/protocol";
import { type Counters, type Scoreboard, ShardState } from "@shardcast/scoreboard";
import { CloseCode, shardLife } from "@shardcast/wire";
import type { CentrifugeSession } from "../centrifuge-session.ts";
import { PassedFrames, type PassedFramesParts } from "./passed-frames.ts";
import { SessionIds } from "./session-ids.ts";

export interface EmulationParts {
	readonly board: Pick<Scoreboard, "row" | "slotsMax" | "channelHashKey">;
	readonly bus: PassedFramesParts["ring"] & Pick<BusLink, "member">;
	readonly row: Pick<Counters, "add"> & { readonly incarnation: number; readonly connectionsMax: number };
	/** Called after each record that is in the ring. */
	readonly onCommit: () => void;
	/** A frame failed by a defect; its connection is ended. */
	readonly failed: (error: unknown) => void;
	readonly nowMs: () => number;
}

/** What became of a frame. `unknown`: no shard that lives has made this session id. `full`: it could not be passed on in time. */
export type Emulated = "taken" | "unknown" | "full";

/** Frames of one client by other requests; each costs more than one on a WebSocket. A client that comes back has one for each subscription. */
const framesPerSecond = 500;
/** Before the data of a record for another shard. */
const idBytes = 32;

/**
 * Frames of clients whose connections go one way only: they come by other requests, at any shard, and find their way to the session
 * here. In order of arrival: for one client at one shard, that is; a client whose commands depend on each other waits for the replies.
 *
 * One owner, the shard's loop. Bounds: as many sessions as clients; `PassedFrames` for what goes to other shards.
 */
export class Emulation {
	/** This shard in its present life. */
	readonly life: number;
	readonly #parts: EmulationParts;
	readonly #ids: SessionIds;
	readonly #passed: PassedFrames;
	readonly #sessions = new Map<string, CentrifugeSession>();
	readonly #rate: RateLimit<CentrifugeSession>;
	/** From other shards, in order: carried out when the flush that brought them is over. */
	#arrived: Uint8Array[] = [];

	constructor(parts: EmulationParts) {
		const { board, bus, row, onCommit } = parts;
		this.#parts = parts;
		this.life = shardLife(bus.member, row.incarnation);
		this.#ids = new SessionIds(board.channelHashKey);
		this.#passed = new PassedFrames({ ring: bus, onCommit });
		this.#rate = new RateLimit(framesPerSecond, row.connectionsMax);
	}

	/** Sessions whose frames come this way. */
	get sessionCount(): number {
		return this.#sessions.size;
	}

	/** Names a session that is about to be opened. */
	newId(): string {
		return this.#ids.create(this.life);
	}

	opened(session: CentrifugeSession): void {
		this.#sessions.set(session.sessionId, session);
	}

	/** Nothing for one that was not opened, or has been closed. */
	closed(session: CentrifugeSession): void {
		this.#sessions.delete(session.sessionId);
		this.#rate.forget(session);
	}

	/** A request has brought a frame. A session that is gone takes it and does nothing. @param data is copied. */
	take(id: string, data: Uint8Array): Emulated | Promise<Emulated> {
		const life = this.#ids.lifeOf(id);
		if (life === null) return "unknown";
		if (life === this.life) {
			this.#frame(id, data);
			return "taken";
		}
		const slot = (life >>> 16) - 1;
		if (!this.#lives(slot, life)) return "unknown";
		const { row } = this.#parts;
		const passed = this.#passed.pass(slot, Buffer.concat([Buffer.from(id, "latin1"), data]));
		const outcome = (isPassed: boolean): Emulated => {
			row.add(isPassed ? "framesPassedOn" : "framesRefused", 1);
			return isPassed ? "taken" : "full";
		};
		return passed instanceof Promise ? passed.then(outcome) : outcome(passed);
	}

	/** A record from another shard. @param payload lies in the ring. */
	arrived(payload: Uint8Array): void {
		if (this.#arrived.push(new Uint8Array(payload)) > 1) return;
		queueMicrotask(() => {
			for (const record of this.#arrived.splice(0)) this.#takeArrived(record);
		});
	}

	stop(): void {
		this.#passed.stop();
	}

	#takeArrived(record: Uint8Array): void {
		const id = Buffer.from(record.buffer, record.byteOffset, Math.min(idBytes, record.length)).toString("latin1");
		try {
			this.#frame(id, record.subarray(idBytes));
		} catch (error) {
			this.#parts.failed(error);
			this.#sessions.get(id)?.close(CloseCode.internalError);
		}
	}

	#frame(id: string, data: Uint8Array): void {
		const session = this.#sessions.get(id);
		if (session === undefined) return;
		const { row, nowMs } = this.#parts;
		if (!this.#rate.take(session, nowMs())) {
			row.add("rateLimited", 1);
			session.close(DisconnectCode.tooManyRequests);
			return;
		}
		row.add("framesEmulated", 1);
		session.frame(new Uint8Array(data).buffer);
	}

	/** Whether the shard in this slot is the one that has made the id, and takes records. */
	#lives(slot: number, life: number): boolean {
		const { board } = this.#parts;
		if (slot < 0 || slot >= board.slotsMax) return false;
		const { incarnation, state } = board.row(slot);
		return shardLife(slot, incarnation) === life && (state === ShardState.serving || state === ShardState.draining);
	}
}

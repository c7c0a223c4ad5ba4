import type { BusLink } from "@shardcast/bus";
import { RateLimit } from "@shardcast/limits";
import { DisconnectCode } from "@shardcast/protocol";
import { type Counters, type Scoreboard, ShardState } from "@shardcast/scoreboard";
import { CloseCode, incarnationId } from "@shardcast/wire";
import type { CentrifugeSession } from "../centrifuge-session.ts";
import { ForwardedFrames, type ForwardedFramesParts } from "./forwarded-frames.ts";
import { SessionIds } from "./session-ids.ts";

export interface EmulationParts {
	readonly board: Pick<Scoreboard, "row" | "slotsMax" | "channelHashKey">;
	readonly bus: ForwardedFramesParts["ring"] & Pick<BusLink, "member">;
	readonly row: Pick<Counters, "add"> & { readonly incarnation: number; readonly connectionsMax: number };
	/** Called after each record that was committed to the ring. */
	readonly onCommit: () => void;
	/** A frame failed because of a defect. Its connection is closed. */
	readonly failed: (error: unknown) => void;
	readonly nowMs: () => number;
}

/** What happened to a frame. `unknown`: no running shard has created this session id. `full`: it could not be forwarded in time. */
export type EmulationOutcome = "accepted" | "unknown" | "full";

/**
 * The most frames per second of one client in separate requests, which cost more than frames on a WebSocket. A reconnecting client sends one for
 * each subscription.
 */
const framesPerSecond = 500;
/** Length of the session id before the data of a record for another shard. */
const idBytes = 32;

/**
 * Handles frames of clients whose connections go only from server to client: they arrive in separate requests, at any shard, and are forwarded
 * to the shard that has the session. Frames of one client that arrive at one shard keep their order; a client whose commands depend on each
 * other must wait for the replies.
 *
 * Owned by the shard's loop. Bounds: one session for each client, and `ForwardedFrames` for what goes to other shards.
 */
export class Emulation {
	/** Identifies this shard and its present run. */
	readonly life: number;
	readonly #parts: EmulationParts;
	readonly #ids: SessionIds;
	readonly #passed: ForwardedFrames;
	readonly #sessions = new Map<string, CentrifugeSession>();
	readonly #rate: RateLimit<CentrifugeSession>;
	/** Frames from other shards, in order. Handled when the flush that delivered them has ended. */
	#arrived: Uint8Array[] = [];

	constructor(parts: EmulationParts) {
		const { board, bus, row, onCommit } = parts;
		this.#parts = parts;
		this.life = incarnationId(bus.member, row.incarnation);
		this.#ids = new SessionIds(board.channelHashKey);
		this.#passed = new ForwardedFrames({ ring: bus, onCommit });
		this.#rate = new RateLimit(framesPerSecond, row.connectionsMax);
	}

	/** The number of sessions whose frames arrive this way. */
	get sessionCount(): number {
		return this.#sessions.size;
	}

	/** Creates the id of a session that is about to be opened. */
	newId(): string {
		return this.#ids.create(this.life);
	}

	opened(session: CentrifugeSession): void {
		this.#sessions.set(session.sessionId, session);
	}

	/** Does nothing for a session that was not opened or has been closed. */
	closed(session: CentrifugeSession): void {
		this.#sessions.delete(session.sessionId);
		this.#rate.forget(session);
	}

	/** A request has delivered a frame. A closed session ignores it. @param data is copied. */
	take(id: string, data: Uint8Array): EmulationOutcome | Promise<EmulationOutcome> {
		const life = this.#ids.lifeOf(id);
		if (life === null) return "unknown";
		if (life === this.life) {
			this.#frame(id, data);
			return "accepted";
		}
		const slot = (life >>> 16) - 1;
		if (!this.#lives(slot, life)) return "unknown";
		const { row } = this.#parts;
		const passed = this.#passed.pass(slot, Buffer.concat([Buffer.from(id, "latin1"), data]));
		const outcome = (isPassed: boolean): EmulationOutcome => {
			row.add(isPassed ? "framesPassedOn" : "framesRefused", 1);
			return isPassed ? "accepted" : "full";
		};
		return passed instanceof Promise ? passed.then(outcome) : outcome(passed);
	}

	/** A record from another shard. @param payload points into the ring. */
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

	/** Whether the shard in this slot has created the id and accepts records. */
	#lives(slot: number, life: number): boolean {
		const { board } = this.#parts;
		if (slot < 0 || slot >= board.slotsMax) return false;
		const { incarnation, state } = board.row(slot);
		return incarnationId(slot, incarnation) === life && (state === ShardState.serving || state === ShardState.draining);
	}
}

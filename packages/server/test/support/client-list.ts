import type { ForwardedAddress, Reply } from "@shardcast/http";
import { RunningTime } from "@shardcast/process";
import { Scoreboard } from "@shardcast/scoreboard";
import { noAddressSlot } from "../../src/limits/admission.ts";
import { Lanes } from "../../src/sessions/lanes/lanes.ts";
import { LeavingSessions } from "../../src/sessions/leaving-sessions.ts";
import { type SessionEvents, Sessions } from "../../src/sessions/sessions.ts";
import { FakeTransport } from "./fake-transport.ts";

/** The clients of a shard, and who is let in: what sessions of each protocol need, without sockets and timers. */
export class ClientList {
	readonly board = Scoreboard.inMemory(1);
	readonly row = this.board.row(0);
	readonly leaving: LeavingSessions;
	readonly lanes: Lanes;
	readonly sessions: Sessions;
	/** Clients that were let in and are not gone. */
	admitted = 0;
	/** The answer to new clients of a server that drains; null = it does not. */
	stopping: Reply | null = null;
	/** Of the next clients. */
	forwarded: ForwardedAddress | null = null;
	readonly check = {
		judge: () => null,
		stopping: () => this.stopping,
		turnedAway: () => this.stopping,
		admit: () => this.#admit(),
		admitClient: () => this.#admit(),
		left: () => {
			this.admitted--;
		},
		full: (): Reply => ({ status: 503, body: "", headers: {}, close: true }),
	};
	/** The system's clock, for lanes. While it goes on without `pass`, the process stands still. */
	nowMs = 0;
	readonly #running = new RunningTime(() => this.nowMs);
	/** Told of clients that come and go. */
	onClient: SessionEvents = { opened: () => {}, closed: () => {} };
	#soon: (() => void)[] = [];

	constructor() {
		const { row } = this;
		row.connectionsGiven = 100;
		const bufferedBytesMax = () => FakeTransport.bufferedBytesMax;
		const soon = (callback: () => void) => void this.#soon.push(callback);
		this.leaving = new LeavingSessions({
			bufferedBytesMax,
			deadlineMs: 5000,
			nowMs: () => 0,
			resetting: (close) => {
				close();
				return 0;
			},
			counters: row,
		});
		this.lanes = new Lanes({ clients: () => this.sessions.all, counters: row, bufferedBytesMax, soon, nowMs: this.#running.nowMs });
		this.sessions = new Sessions({
			lanes: this.lanes,
			leaving: this.leaving,
			pacing: { forget: () => {}, writable: () => {} },
			unread: { forget: () => {}, writable: () => {} },
			check: this.check,
			counters: row,
			words: row,
			events: {
				opened: (session) => this.onClient.opened(session),
				closed: (session, code) => this.onClient.closed(session, code),
			},
			soon,
		});
	}

	/** Time passes while the process runs. */
	pass(ms: number): void {
		for (let left = ms; left > 0; left -= 200) {
			this.nowMs += Math.min(left, 200);
			this.#running.nowMs();
		}
	}

	/** Runs what waits for a later phase of the loop. */
	soon(): void {
		for (const callback of this.#soon.splice(0)) callback();
	}

	#admit() {
		this.admitted++;
		return { addressSlot: noAddressSlot, forwarded: this.forwarded };
	}
}

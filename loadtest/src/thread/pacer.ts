import { monotonicMs } from "@shardcast/wire";
import { binaryPayload } from "../protocols/binary-payload.ts";
import type { PayloadFormat } from "../protocols/payload-format.ts";
import { Progress, type ProgressCounters } from "../report/progress-counters.ts";
import type { MessageSource } from "./message-source.ts";

export interface Load {
	/** Messages per second over all senders. */
	readonly rate: number;
	/** Payload bytes of a message. */
	readonly bytes: number;
	readonly durationMs: number;
}

export interface PaceReport {
	/** How many each sender has sent since the pacer began (not only in this load). */
	readonly sentBySender: Uint32Array;
	readonly sent: number;
	readonly startedMs: number;
	readonly endedMs: number;
	/** Longest time by which a message left later than planned. */
	readonly lateMsMax: number;
}

/** How far past its planned end a load may run when the source takes no more. */
const overrunMsDefault = 2_000;

/**
 * Sends messages at a fixed rate, whatever happens to them: what is not sent in time is sent late, not left out, so a slow
 * server can not lower the load that it is measured with. Messages go round the senders, each numbered per sender.
 */
export class Pacer {
	readonly #source: MessageSource;
	readonly #progress: ProgressCounters;
	readonly #thread: number;
	readonly #sentBySender: Uint32Array;
	readonly #format: PayloadFormat;
	readonly #overrunMs: number;
	#turn = 0;

	constructor(
		source: MessageSource,
		senders: number,
		progress: ProgressCounters,
		thread: number,
		format: PayloadFormat = binaryPayload,
		overrunMs = overrunMsDefault,
	) {
		this.#source = source;
		this.#sentBySender = new Uint32Array(senders);
		this.#progress = progress;
		this.#thread = thread;
		this.#format = format;
		this.#overrunMs = overrunMs;
	}

	/** Resolves when the last message was taken by the source, or when time is up. */
	run({ rate, bytes, durationMs }: Load): Promise<PaceReport> {
		const planned = Math.max(1, Math.round((rate * durationMs) / 1000));
		const startedMs = monotonicMs();
		let sent = 0;
		let lateMsMax = 0;
		return new Promise((resolve) => {
			const tick = (): void => {
				const now = monotonicMs();
				const due = Math.min(planned, Math.floor(((now - startedMs) * rate) / 1000) + 1);
				while (sent < due && this.#sendNext(bytes)) {
					lateMsMax = Math.max(lateMsMax, now - startedMs - (sent * 1000) / rate);
					sent++;
				}
				if (sent < planned && now < startedMs + durationMs + this.#overrunMs) {
					setTimeout(tick, Math.max(1, startedMs + (sent * 1000) / rate - monotonicMs()));
					return;
				}
				resolve({ sentBySender: new Uint32Array(this.#sentBySender), sent, startedMs, endedMs: monotonicMs(), lateMsMax });
			};
			tick();
		});
	}

	#sendNext(bytes: number): boolean {
		const sender = this.#turn;
		const payload = this.#format.write(bytes, sender, this.#sentBySender[sender], monotonicMs());
		if (!this.#source.send(sender, payload)) return false;
		this.#sentBySender[sender]++;
		this.#turn = (sender + 1) % this.#sentBySender.length;
		this.#progress.add(this.#thread, Progress.sent, 1);
		return true;
	}
}

import { monotonicMs } from "@shardcast/wire";
import { binaryPayload } from "../protocols/binary-payload.ts";
import type { PayloadFormat } from "../protocols/payload-format.ts";
import { Progress, type ProgressCounters } from "../report/progress-counters.ts";
import { messagesIn, Schedule, type Stage, totalMs } from "../stages/stages.ts";
import type { MessageSource } from "./message-source.ts";
import { type SentLog, SentLogWriter } from "./sent-log.ts";

export interface Load {
	/** Messages per second over all senders. */
	readonly rate: number;
	/** Instead: a rate that changes, for as long as its stages last. */
	readonly rateStages?: readonly Stage[] | null;
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
	/** Of this load. */
	readonly log: SentLog;
}

/** How many messages a load has. */
export function plannedMessages({ rate, durationMs, rateStages }: Load): number {
	return Math.max(1, rateStages ? messagesIn(rateStages) : Math.round((rate * durationMs) / 1000));
}

/** How far past its planned end a load may run when the source takes no more. */
const overrunMsDefault = 2_000;
const haltCheckMs = 100;

/**
 * Sends messages at a given rate, whatever happens to them: what is not sent in time is sent late, not left out, so a slow
 * server can not lower the load that it is measured with. Messages go round the senders, each numbered per sender.
 */
export class Pacer {
	readonly #source: MessageSource;
	readonly #progress: ProgressCounters;
	readonly #thread: number;
	readonly #sentBySender: Uint32Array;
	readonly #format: PayloadFormat;
	readonly #overrunMs: number;
	readonly #numberOf: (sender: number) => number;
	#turn = 0;
	#halted = false;

	constructor(
		source: MessageSource,
		senders: number,
		progress: ProgressCounters,
		thread: number,
		format: PayloadFormat = binaryPayload,
		overrunMs = overrunMsDefault,
		/** A sender's number in its messages. */
		numberOf: (sender: number) => number = (sender) => sender,
	) {
		this.#numberOf = numberOf;
		this.#source = source;
		this.#sentBySender = new Uint32Array(senders);
		this.#progress = progress;
		this.#thread = thread;
		this.#format = format;
		this.#overrunMs = overrunMs;
	}

	/** Resolves when the last message was taken by the source, when time is up, or when it is halted. */
	run(load: Load): Promise<PaceReport> {
		const { bytes } = load;
		const stages = load.rateStages ?? [{ from: load.rate, to: load.rate, ms: load.durationMs }];
		const planned = plannedMessages(load);
		const schedule = new Schedule(stages);
		const startedMs = monotonicMs();
		const endsMs = startedMs + totalMs(stages) + this.#overrunMs;
		const log = new SentLogWriter(startedMs);
		let sent = 0;
		let dueMs = startedMs + schedule.dueMs(0);
		let lateMsMax = 0;
		return new Promise((resolve) => {
			const tick = (): void => {
				const now = monotonicMs();
				while (sent < planned && dueMs <= now && this.#sendNext(bytes)) {
					lateMsMax = Math.max(lateMsMax, now - dueMs);
					dueMs = startedMs + schedule.dueMs(++sent);
				}
				log.note(now, sent);
				if (sent < planned && now < endsMs && !this.#halted) {
					// Looks up now and then, so that a pause in the stages can be ended.
					setTimeout(tick, Math.min(haltCheckMs, Math.max(1, dueMs - monotonicMs())));
					return;
				}
				const sentBySender = new Uint32Array(this.#sentBySender);
				resolve({ sentBySender, sent, startedMs, endedMs: monotonicMs(), lateMsMax, log: log.log(sentBySender.length) });
			};
			tick();
		});
	}

	/** Ends the load early; none can follow. */
	halt(): void {
		this.#halted = true;
	}

	#sendNext(bytes: number): boolean {
		const sender = this.#turn;
		const payload = this.#format.write(bytes, this.#numberOf(sender), this.#sentBySender[sender], monotonicMs());
		if (!this.#source.send(sender, payload)) return false;
		this.#sentBySender[sender]++;
		this.#turn = (sender + 1) % this.#sentBySender.length;
		this.#progress.add(this.#thread, Progress.sent, 1);
		return true;
	}
}

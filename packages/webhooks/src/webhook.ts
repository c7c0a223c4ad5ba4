import { type WebhookEventType, type WebhookOptions, wantsEvent } from "@shardcast/config";
import type { Log } from "@shardcast/telemetry";
import { type Caller, failureOf, type OpenCaller } from "./caller.ts";
import { EventQueue, type QueuedEvent } from "./event-queue.ts";
import { signatures, webhookHeaders } from "./signature.ts";
import { eventMembers } from "./webhook-event.ts";

export interface WebhookParts {
	readonly open: OpenCaller;
	readonly log: Pick<Log, "info" | "warn" | "error">;
	/** For the console. */
	readonly tell: (level: "info" | "warn" | "bad", text: string) => void;
	/** Id of its stream of events. Never reused, because the numbers of the events begin with 1 in each stream. */
	readonly stream: string;
	/** Milliseconds, monotonic. */
	readonly nowMs: () => number;
	/** Milliseconds since 1970. */
	readonly unixMs: () => number;
	/** From 0 to 1, for the jitter. */
	readonly random: () => number;
}

/** Approximate maximum length of a request's body. */
const bodyCharactersMax = 1024 * 1024;
const queueCharactersMax = 64 * 1024 * 1024;
/** Maximum pause between two attempts while the server stops. */
const drainRetryMsMax = 250;

/**
 * One receiver: keeps its undelivered events, and sends them in order, one request at a time. A failed request is sent again, with the same events,
 * until it succeeds. If only its reply was lost, the receiver gets the events twice and recognises them by their ids.
 *
 * One owner, `Webhooks`. Bounds: `queue_max` waiting events and 64 Mi characters, plus the request in flight.
 */
export class Webhook {
	delivered = 0;
	/** Requests by result. */
	readonly requests: Record<string, number> = { ok: 0 };
	#options: WebhookOptions;
	readonly #parts: WebhookParts;
	readonly #queue: EventQueue;
	#caller: Caller;
	/** For the request in flight; null = none. */
	#busy: Caller | null = null;
	/** Events of the request in flight, or of the last failed attempt. */
	#batch: QueuedEvent[] = [];
	/** Consecutive failed attempts. */
	#failures = 0;
	#retryMs = 0;
	#isDraining = false;
	#isStopped = false;
	#hasToldDrops = false;

	constructor(options: WebhookOptions, parts: WebhookParts) {
		this.#options = options;
		this.#parts = parts;
		this.#queue = new EventQueue(options.queueMax, queueCharactersMax);
		this.#caller = parts.open(options);
		this.add(eventMembers({ type: "start", at: parts.unixMs() }));
	}

	get options(): WebhookOptions {
		return this.#options;
	}

	/** Undelivered events. */
	get waiting(): number {
		return this.#queue.size + this.#batch.length;
	}

	get dropped(): number {
		return this.#queue.dropped;
	}

	/** Age of the oldest undelivered event, in seconds. */
	get oldestSeconds(): number {
		const oldestMs = this.#batch[0]?.queuedMs ?? this.#queue.oldestMs;
		return oldestMs === undefined ? 0 : (this.#parts.nowMs() - oldestMs) / 1000;
	}

	/** @param namespace of the event's channel, or null if it has none. */
	wants(type: WebhookEventType, namespace: string | null): boolean {
		const { namespaces } = this.#options;
		if (!wantsEvent(this.#options, type)) return false;
		return namespace === null || namespaces.length === 0 || namespaces.includes(namespace);
	}

	add(members: string): void {
		const before = this.dropped;
		this.#queue.add(members, this.#parts.nowMs());
		if (this.dropped > before) this.#tellDrops();
	}

	/** Counts events that were lost before they arrived here. */
	lost(events: number): void {
		this.#queue.skip(events);
	}

	/** Applies new options of the webhook with the same name. Waiting events stay. */
	change(options: WebhookOptions): void {
		const { endpoint, timeoutMs } = this.#options;
		this.#options = options;
		this.#queue.max = options.queueMax;
		this.#retryMs = 0;
		if (options.endpoint === endpoint && options.timeoutMs === timeoutMs) return;
		this.#caller.retire();
		this.#caller = this.#parts.open(options);
	}

	/** Sends if a request is due. Called often. */
	tick(): void {
		if (this.#busy !== null || this.#isStopped || this.waiting === 0) return;
		const { batchMax, batchDelayMs } = this.#options;
		const nowMs = this.#parts.nowMs();
		if (nowMs < this.#retryMs) return;
		if (this.#batch.length === 0) {
			if (this.#queue.size < batchMax && nowMs - this.#queue.oldestMs! < batchDelayMs && !this.#isDraining) return;
			this.#batch = this.#queue.take(batchMax, bodyCharactersMax);
		}
		void this.#send();
	}

	/** From now on events are sent without delay. */
	drain(): void {
		this.#isDraining = true;
		this.#retryMs = 0;
		this.tick();
	}

	/** @returns the number of undelivered events. */
	stop(): number {
		this.#isStopped = true;
		this.#caller.stop();
		// Requests to a previous address must not delay the end of the process.
		if (this.#busy !== this.#caller) this.#busy?.stop();
		return this.waiting;
	}

	async #send(): Promise<void> {
		const { name, secret, formerSecret } = this.#options;
		const { stream, unixMs } = this.#parts;
		const now = unixMs();
		const events = this.#batch.map(({ seq, members }) => `{"id":"${stream}-${seq}","seq":${seq},${members}}`);
		const body = Buffer.from(`{"stream":"${stream}","time_ms":${now},"dropped":${this.dropped},"events":[${events.join(",")}]}`);
		const timestamp = String(Math.floor(now / 1000));
		const secrets = [secret, formerSecret].filter((each) => each !== undefined);
		const headers = {
			[webhookHeaders.name]: name,
			[webhookHeaders.timestamp]: timestamp,
			...(secrets.length > 0 && { [webhookHeaders.signature]: signatures(secrets, timestamp, body) }),
		};
		this.#busy = this.#caller;
		const outcome = await this.#busy.call({ body, headers, isRepeatable: true });
		this.#busy = null;
		if (this.#isStopped) return;
		const failure = failureOf(outcome);
		const result = failure?.kind ?? "ok";
		this.requests[result] = (this.requests[result] ?? 0) + 1;
		if (failure === null) this.#done();
		else this.#failed(failure.kind, failure.detail);
		this.tick();
	}

	#done(): void {
		this.delivered += this.#batch.length;
		this.#batch = [];
		this.#retryMs = 0;
		// A receiver that is a little too slow frees space one batch at a time: one log line is enough.
		if (!this.#queue.isHalfFull) this.#hasToldDrops = false;
		if (this.#failures === 0) return;
		this.#failures = 0;
		const text = `webhook "${this.#options.name}" is delivered again; events that wait: ${this.waiting}`;
		this.#parts.log.info(text);
		this.#parts.tell("info", text);
	}

	/** Doubles after each failure, with a jitter of one half, so that a receiver that is back does not get all requests at once. */
	#failed(kind: string, detail: string): void {
		const { name, retryMinMs, retryMaxMs } = this.#options;
		const pauseMs = Math.min(retryMaxMs, retryMinMs * 2 ** Math.min(this.#failures, 30));
		const bounded = this.#isDraining ? Math.min(pauseMs, drainRetryMsMax) : pauseMs;
		this.#retryMs = this.#parts.nowMs() + bounded * (0.5 + this.#parts.random() / 2);
		this.#failures++;
		if (this.#failures > 1) return;
		const text = `webhook "${name}" cannot be delivered: ${detail === "" ? kind : `${kind} (${detail})`}; trying again, events that wait: ${this.waiting}`;
		this.#parts.log.warn(text);
		this.#parts.tell("warn", text);
	}

	#tellDrops(): void {
		if (this.#hasToldDrops) return;
		this.#hasToldDrops = true;
		const { name, queueMax } = this.#options;
		const most = this.#queue.size >= queueMax ? "queue_max" : `the most in ${queueCharactersMax / 2 ** 20} MiB`;
		const text = `webhook "${name}": ${this.waiting} events wait (${most}); from now on the oldest are dropped`;
		this.#parts.log.error(text);
		this.#parts.tell("bad", text);
	}
}

import { Agent, request } from "node:http";
import { Agent as SecureAgent, request as secureRequest } from "node:https";
import { setTimeout as sleep } from "node:timers/promises";
import { type Audience, channelName } from "../audience.ts";
import type { Target } from "../target.ts";
import type { MessageSource } from "./message-source.ts";

/** Requests of one sender that may wait for the answers before them. */
const waitingMax = 64;
const answerMs = 5_000;
const refusalKindsMax = 20;

/**
 * Publishes over HTTP. Each sender has one kept-alive connection and sends its next request when the last is answered: only
 * so does HTTP keep an order. What was not answered with 200 is not tried again, since it may have been published.
 */
export class HttpSource implements MessageSource {
	readonly #targets: readonly Target[];
	readonly #headers: Readonly<Record<string, string>>;
	readonly #audience: Audience;
	readonly #agents: Agent[];
	readonly #waiting: Uint32Array;
	readonly #refusals = new Map<string, number>();

	/** @param targets nodes, which the senders take in turn. */
	constructor(targets: readonly Target[], audience: Audience, headers: Readonly<Record<string, string>> = {}) {
		this.#headers = headers;
		this.#targets = targets;
		this.#audience = audience;
		this.#agents = Array.from({ length: audience.senders }, (_, sender) => {
			const { tls } = targets[sender % targets.length];
			const options = { keepAlive: true, maxSockets: 1 };
			return tls === null
				? new Agent(options)
				: new SecureAgent({ ...options, rejectUnauthorized: tls.verify, ...(tls.ca !== null && { ca: tls.ca }) });
		});
		this.#waiting = new Uint32Array(audience.senders);
	}

	async open(): Promise<void> {}

	send(sender: number, payload: Buffer): boolean {
		if (this.#waiting[sender] >= waitingMax) return false;
		this.#waiting[sender]++;
		const channel = this.#audience.channelNumber(this.#audience.channelOfSender(sender));
		const query = channel < 0 ? "" : `?channel=${encodeURIComponent(channelName(channel))}`;
		const headers = { ...this.#headers, "content-type": "application/octet-stream", "content-length": payload.length };
		const { httpUrl, tls } = this.#targets[sender % this.#targets.length];
		const outgoing = (tls === null ? request : secureRequest)(`${httpUrl}/api/publish${query}`, {
			method: "POST",
			agent: this.#agents[sender],
			headers,
			timeout: answerMs,
		});
		let done = false;
		const finish = (refusal: string | null): void => {
			if (done) return;
			done = true;
			this.#waiting[sender]--;
			if (refusal !== null) this.#refuse(refusal);
		};
		outgoing.on("timeout", () => outgoing.destroy(new Error(`no answer within ${answerMs} ms`)));
		outgoing.on("error", (error) => finish(error.message));
		outgoing.on("response", (incoming) => {
			incoming.resume();
			incoming.on("close", () => finish(incoming.statusCode === 200 ? null : `status ${incoming.statusCode}`));
		});
		outgoing.end(payload);
		return true;
	}

	refusals(): Readonly<Record<string, number>> {
		return Object.fromEntries(this.#refusals);
	}

	async flush(deadlineMs: number): Promise<void> {
		const endsMs = performance.now() + deadlineMs;
		while (this.#waiting.some((count) => count > 0) && performance.now() < endsMs) await sleep(5);
	}

	async close(): Promise<void> {
		for (const agent of this.#agents) agent.destroy();
	}

	#refuse(what: string): void {
		const kind = this.#refusals.has(what) || this.#refusals.size < refusalKindsMax ? what : "other";
		this.#refusals.set(kind, (this.#refusals.get(kind) ?? 0) + 1);
	}
}

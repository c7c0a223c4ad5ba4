import { GrowingBytes } from "@shardcast/http";
import { type Refusal, Refusals, withMessage } from "../answer/refusal.ts";
import { HeadParser, HeadStatus } from "../head/head.ts";
import { headRefusal } from "../head/head-refusal.ts";
import { RequestBody } from "./request-body.ts";

export interface PassedRequestsOptions {
	readonly headBytesMax: number;
	/** Returns the head of a request as the shard gets it. */
	readonly rewrite: (bytes: Buffer, head: HeadParser) => Buffer;
	/** Why a request after the first may not pass; null when it may. */
	readonly judge: (bytes: Buffer, head: HeadParser) => Refusal | null;
	/** Writes to the shard. */
	readonly write: (bytes: Buffer) => void;
	/** Called when a head is about to be written. */
	readonly onPassed: (head: Pick<HeadParser, "isHead" | "isLasting">) => void;
	/** Called when nothing more is passed on. A head is refused when all earlier responses are complete, a body before its response is complete. */
	readonly onRefused: (refusal: Refusal, what: "head" | "body", isHeadRequest: boolean) => void;
}

/**
 * Passes the requests of one proxied connection to the shard, each when the response to the previous one is complete. A shard thus never gets
 * a head that the balancer has not parsed and written itself.
 *
 * One per connection. Bound: one head, and the bytes of the last `push`.
 */
export class PassedRequests {
	readonly #options: PassedRequestsOptions;
	#state: "head" | "body" | "answer" | "over" = "head";
	#bytes = new GrowingBytes();
	#head = new HeadParser();
	#body: RequestBody | null = null;
	/** The shard has answered before the body was complete. */
	#answeredEarly = false;

	constructor(options: PassedRequestsOptions) {
		this.#options = options;
	}

	/** Whether more of the client's bytes can be passed on now. */
	get wantsMore(): boolean {
		return this.#state === "head" || this.#state === "body";
	}

	/** Whether a complete request has been passed on and is not answered yet. */
	get awaitsAnswer(): boolean {
		return this.#state === "answer";
	}

	/** Starts with the first request, which has been checked; `bytes` is everything received, possibly more than its head. */
	begin(bytes: Buffer, head: HeadParser): void {
		this.#bytes.append(bytes);
		this.#head = head;
		this.#pass();
		this.#advance();
	}

	push(piece: Buffer): void {
		this.#bytes.append(piece);
		this.#advance();
	}

	/** Call when the response to the current request is complete. */
	answered(): void {
		if (this.#state === "body") this.#answeredEarly = true;
		if (this.#state !== "answer") return;
		this.#state = "head";
		this.#advance();
	}

	/** Stops. @returns the bytes received but not passed on. */
	end(): Buffer {
		this.#state = "over";
		return this.#bytes.all();
	}

	#advance(): void {
		while (this.#bytes.length > 0) {
			if (this.#state === "head") {
				if (!this.#readHead()) return;
			} else if (this.#state === "body") {
				if (!this.#readBody()) return;
			} else return;
		}
	}

	/** False when the received bytes allow no further step. */
	#readHead(): boolean {
		const { headBytesMax, judge } = this.#options;
		const head = this.#head;
		head.parse(this.#bytes.buffer, this.#bytes.length);
		const problem = headRefusal(head, this.#bytes.length, headBytesMax);
		if (problem !== null) return this.#refuse(problem);
		if (head.status === HeadStatus.incomplete) return false;
		const refusal = judge(this.#bytes.buffer, head);
		if (refusal !== null) return this.#refuse(refusal);
		this.#pass();
		return true;
	}

	/** Writes the complete head. */
	#pass(): void {
		const { rewrite, write, onPassed } = this.#options;
		const head = this.#head;
		const { buffer } = this.#bytes;
		onPassed(head);
		write(rewrite(buffer, head));
		this.#body = new RequestBody(head);
		this.#answeredEarly = false;
		this.#keepFrom(head.bytes);
		this.#head = new HeadParser();
		this.#state = "body";
		this.#endBody();
	}

	#readBody(): boolean {
		const next = this.#body!.take(this.#bytes.all(), 0, this.#options.write);
		if (next < 0) return this.#refuse(withMessage(Refusals.badRequest, "the chunks of the body are malformed"), "body");
		this.#keepFrom(next);
		this.#endBody();
		return true;
	}

	#endBody(): void {
		if (!this.#body!.isDone) return;
		this.#body = null;
		this.#state = this.#answeredEarly ? "head" : "answer";
	}

	#keepFrom(start: number): void {
		const rest = this.#bytes.all().subarray(start);
		this.#bytes = new GrowingBytes();
		if (rest.length > 0) this.#bytes.append(rest);
	}

	#refuse(refusal: Refusal, what: "head" | "body" = "head"): false {
		this.#state = "over";
		this.#options.onRefused(refusal, what, what === "head" && this.#head.isHead);
		return false;
	}
}

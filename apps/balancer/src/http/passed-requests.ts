import { GrowingBytes } from "@shardcast/http";
import { HeadParser, HeadStatus } from "./head.ts";
import { headRefusal } from "./head-refusal.ts";
import { because, type Refusal, Refusals } from "./refusal.ts";
import { RequestBody } from "./request-body.ts";

export interface PassedRequestsOptions {
	readonly headBytesMax: number;
	/** A request's head as the shard gets it. */
	readonly rewrite: (bytes: Buffer, head: HeadParser) => Buffer;
	/** Why a request after the first may not pass; null when it may. */
	readonly judge: (bytes: Buffer, head: HeadParser) => Refusal | null;
	/** To the shard. */
	readonly write: (bytes: Buffer) => void;
	/** A head has been written. */
	readonly onPassed: (isHeadRequest: boolean) => void;
	/** Nothing more is passed on. The head of a request is refused when all answers before are complete, its body before it is. */
	readonly onRefused: (refusal: Refusal, what: "head" | "body") => void;
}

/**
 * What a client sends on one proxied connection, on its way to the shard: request after request, the next one when the answer to the
 * last is complete. So no byte of a client reaches a shard as a head that the balancer has not seen and written itself.
 *
 * One per connection. Bound: one head, and what the last `push` brought.
 */
export class PassedRequests {
	readonly #options: PassedRequestsOptions;
	#state: "head" | "body" | "answer" | "over" = "head";
	#bytes = new GrowingBytes();
	#head = new HeadParser();
	#body: RequestBody | null = null;
	/** The shard has answered before the body was there. */
	#answeredEarly = false;

	constructor(options: PassedRequestsOptions) {
		this.#options = options;
	}

	/** Whether more of the client's bytes can be passed on now. */
	get wantsMore(): boolean {
		return this.#state === "head" || this.#state === "body";
	}

	/** A request has been passed on in full and is not answered. */
	get awaitsAnswer(): boolean {
		return this.#state === "answer";
	}

	/** The first request, which has been judged; `bytes` is all that has come, more than its head perhaps. */
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

	/** The answer to the request under way is complete. */
	answered(): void {
		if (this.#state === "body") this.#answeredEarly = true;
		if (this.#state !== "answer") return;
		this.#state = "head";
		this.#advance();
	}

	/** Ends it. @returns what has come and was not passed on. */
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

	/** False when there is nothing more to be done with what has come. */
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

	/** Writes the head that is there in full. */
	#pass(): void {
		const { rewrite, write, onPassed } = this.#options;
		const head = this.#head;
		const { buffer } = this.#bytes;
		onPassed(head.isMethod(buffer, "HEAD"));
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
		if (next < 0) return this.#refuse(because(Refusals.badRequest, "the chunks of the body are malformed"), "body");
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
		this.#options.onRefused(refusal, what);
		return false;
	}
}

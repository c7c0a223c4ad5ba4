import { GrowingBytes } from "@shardcast/http";

/**
 * The state of a response. `switched`: the shard has accepted a WebSocket, and HTTP is over. `stream`: it has begun, is the last one, and may
 * take any time, or has no body: then a shard leaves it to the client to close the connection. Returned once.
 */
export type Progress = "more" | "complete" | "switched" | "stream";

/** A shard's heads have a few hundred bytes. */
const headBytesMax = 65_536;
const nothing = Buffer.alloc(0);

/**
 * Finds the end of a shard's responses, one at a time. It changes nothing and stores nothing but an incomplete head. A response that it does
 * not understand, or that is the last one, never ends: the connection then carries no further request.
 */
export class ResponseReader {
	/** What has come behind the head of the response that switched. */
	switched: Buffer = nothing;
	#state: "none" | "head" | "body" | "endless" = "none";
	#head = new GrowingBytes();
	#isHeadRequest = false;
	#bodyLeft = 0;

	/** Call when a request has been passed on. */
	expect(isHeadRequest: boolean): void {
		this.#isHeadRequest = isHeadRequest;
		if (this.#state === "none") this.#state = "head";
	}

	/** Processes bytes from the shard. */
	take(bytes: Buffer): Progress {
		let rest = bytes;
		while (this.#state === "head") {
			this.#head.append(rest);
			const end = this.#head.all().indexOf("\r\n\r\n");
			if (end < 0) {
				if (this.#head.length > headBytesMax) this.#state = "endless";
				return "more";
			}
			const all = this.#head.all();
			this.#head = new GrowingBytes();
			rest = all.subarray(end + 4);
			const progress = this.#begin(all.toString("latin1", 0, end));
			if (progress === "switched") this.switched = rest;
			if (progress !== null) return progress;
		}
		if (this.#state === "body") {
			this.#bodyLeft -= rest.length;
			if (this.#bodyLeft === 0) {
				this.#state = "none";
				return "complete";
			}
			if (this.#bodyLeft > 0) return "more";
		}
		this.#state = "endless";
		return "more";
	}

	/** Handles a complete head. @returns null if what follows decides. */
	#begin(head: string): "switched" | "stream" | null {
		const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? 0);
		// An interim response, such as 100 Continue: the final response follows.
		if (status >= 100 && status < 200) return status === 101 ? "switched" : null;
		const hasBody = !this.#isHeadRequest && status !== 204 && status !== 304;
		const length = /\r\ncontent-length: *(\d+) *(?:\r\n|$)/i.exec(head)?.[1];
		// The shard closes after this response. A further request must not be sent: the shard would not read it, and its reset could overtake the response.
		const isLast = /\r\nconnection: *close *(?:\r\n|$)/i.test(head);
		const isChunked = /\r\ntransfer-encoding:/i.test(head);
		const isKnown = !isLast && status !== 0 && !isChunked && (!hasBody || length !== undefined);
		this.#state = isKnown ? "body" : "endless";
		this.#bodyLeft = hasBody ? Number(length) : 0;
		return isLast && (isChunked || !hasBody) ? "stream" : null;
	}
}

import { connect, type Socket } from "node:net";
import type { HeadParser } from "../http/head.ts";
import { PassedRequests, type PassedRequestsOptions } from "../http/passed-requests.ts";
import type { Refusal } from "../http/refusal.ts";
import { ResponseReader } from "../http/response-reader.ts";

interface SpliceOptions extends Pick<PassedRequestsOptions, "headBytesMax" | "rewrite" | "judge"> {
	/** Where the shard listens. */
	readonly target: { readonly host: string; readonly port: number };
	/** The complete head of the first request; `bytes` is everything received so far. */
	readonly head: HeadParser;
	readonly bytes: Buffer;
	/** Bytes to write to the shard first; null = none. */
	readonly preface: Uint8Array | null;
	readonly onConnected: () => void;
	/** Called when a later request is refused. The client's connection belongs to the caller again; all earlier responses are written. */
	readonly onRefused: (refusal: Refusal, isHead: boolean) => void;
	/** Called once. `wasConnected` is false when the shard's port did not answer; the client's connection is then untouched. */
	readonly onShardClosed: (wasConnected: boolean) => void;
}

/** Connecting over loopback completes at once unless the shard's accept queue is full. */
const dialMs = 1000;

/**
 * One proxied connection. Requests go to the shard one by one (`PassedRequests`), and responses come back unchanged. After a 101 response, bytes
 * pass unchanged in both directions. Back-pressure works in both directions.
 */
export class Splice {
	readonly #client: Socket;
	readonly #shard: Socket;
	readonly #requests: PassedRequests;
	readonly #answers = new ResponseReader();
	/** Bytes of the response to the current request have arrived. */
	#answerBegun = false;
	/** Bytes of any response have arrived. */
	#wasAnswered = false;
	#isConnected = false;
	#clientEnded = false;
	/** The client's connection belongs to the caller again. */
	#isReleased = false;

	constructor(client: Socket, options: SpliceOptions) {
		const { target, onConnected, onShardClosed, onRefused } = options;
		this.#client = client;
		const shard = connect({ ...target, noDelay: true, allowHalfOpen: true });
		this.#shard = shard;
		this.#requests = new PassedRequests({
			...options,
			write: (bytes) => shard.write(bytes),
			onPassed: (isHeadRequest) => {
				this.#answerBegun = false;
				this.#answers.expect(isHeadRequest);
			},
			onRefused: (refusal, what, isHead) => {
				this.#release();
				if (what === "body" && this.#answerBegun) client.destroy();
				else onRefused(refusal, isHead);
			},
		});
		// The client disconnects before there is a shard, or later its connection ends or breaks.
		client.once("close", this.#onClientClosed);
		shard.setTimeout(dialMs, () => shard.destroy());
		shard.once("connect", () => {
			shard.setTimeout(0);
			this.#isConnected = true;
			onConnected();
			if (options.preface !== null) shard.write(options.preface);
			this.#begin(options.bytes, options.head);
		});
		// "close" follows every error and handles it.
		shard.on("error", () => {});
		shard.once("close", () => {
			// Closed without an end: broken. After an end, the client still gets what is on its way.
			if (!this.#isReleased && this.#isConnected && !client.writableEnded) client.destroy();
			this.#detach();
			onShardClosed(this.#isConnected);
		});
	}

	/**
	 * Gives the client's connection back while the shard has not answered its first request, so that another shard can take it, provided the
	 * request may be repeated. False when it is too late for that.
	 */
	giveBack(): boolean {
		if (this.#wasAnswered || this.#isReleased || !this.#isConnected || this.#clientEnded) return false;
		this.#release();
		return true;
	}

	cut(): void {
		this.#client.destroy();
		this.#shard.destroy();
	}

	#begin(bytes: Buffer, head: HeadParser): void {
		const [client, shard] = [this.#client, this.#shard];
		shard.on("data", this.#onAnswer);
		shard.on("end", this.#onShardEnd);
		shard.on("drain", this.#flow);
		client.on("drain", this.#resumeShard);
		client.on("data", this.#onData);
		client.on("end", this.#onClientEnd);
		this.#pass(() => this.#requests.begin(bytes, head));
	}

	readonly #onData = (piece: Buffer): void => this.#pass(() => this.#requests.push(piece));

	readonly #onAnswer = (bytes: Buffer): void => {
		this.#answerBegun = true;
		this.#wasAnswered = true;
		if (!this.#client.write(bytes)) this.#shard.pause();
		const progress = this.#answers.take(bytes);
		if (progress === "switched") this.#join();
		else if (progress === "complete") this.#pass(() => this.#requests.answered());
		else if (progress === "stream") this.#watchClient();
	};

	/** @param step may write to the shard several times; all writes go out in one system call. */
	#pass(step: () => void): void {
		this.#shard.cork();
		step();
		this.#shard.uncork();
		this.#flow();
	}

	/** Ignores further bytes of the client, but notices when it closes: then the stream has no reader. */
	#watchClient(): void {
		const client = this.#client;
		this.#requests.end();
		this.#shard.off("drain", this.#flow);
		client.off("data", this.#onData).off("end", this.#onClientEnd);
		client.once("end", () => this.#shard.end());
		if (this.#clientEnded) this.#shard.end();
		client.resume();
	}

	readonly #flow = (): void => {
		if (this.#isReleased) return;
		// A client that has closed its sending side gets its response first: a shard treats an end as the end of the connection.
		if (this.#clientEnded && !this.#requests.awaitsAnswer) this.#shard.end();
		if (this.#requests.wantsMore && !this.#shard.writableNeedDrain) this.#client.resume();
		else this.#client.pause();
	};

	readonly #resumeShard = (): void => {
		this.#shard.resume();
	};

	/** HTTP is over: from now on bytes pass in both directions. */
	#join(): void {
		const [client, shard] = [this.#client, this.#shard];
		this.#stopListening();
		const rest = this.#requests.end();
		if (rest.length > 0) shard.write(rest);
		client.pipe(shard);
		shard.pipe(client);
		if (this.#clientEnded) shard.end();
	}

	readonly #onClientEnd = (): void => {
		this.#clientEnded = true;
		this.#flow();
	};

	/** No further request is accepted. What the client still sends is read and discarded; otherwise it might not get the last response. */
	readonly #onShardEnd = (): void => {
		this.#stopListening();
		this.#client.end();
		this.#client.resume();
		this.#shard.end();
	};

	readonly #onClientClosed = (): void => {
		this.#shard.destroy();
	};

	/** Gives the client's connection back. */
	#release(): void {
		this.#isReleased = true;
		this.#detach();
		this.#shard.destroy();
	}

	#detach(): void {
		this.#stopListening();
		this.#client.removeListener("close", this.#onClientClosed);
	}

	#stopListening(): void {
		const [client, shard] = [this.#client, this.#shard];
		client.off("drain", this.#resumeShard).off("data", this.#onData).off("end", this.#onClientEnd);
		shard.off("data", this.#onAnswer).off("end", this.#onShardEnd).off("drain", this.#flow);
	}
}

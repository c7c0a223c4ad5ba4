import { connect, type Socket } from "node:net";
import type { HeadParser } from "../http/head.ts";
import { PassedRequests, type PassedRequestsOptions } from "../http/passed-requests.ts";
import type { Refusal } from "../http/refusal.ts";
import { ResponseReader } from "../http/response-reader.ts";

export interface SpliceOptions extends Pick<PassedRequestsOptions, "headBytesMax" | "rewrite" | "judge"> {
	/** Where the shard listens. */
	readonly target: { readonly host: string; readonly port: number };
	/** The head of the first request, parsed to its end in `bytes`, which are all that has come. */
	readonly head: HeadParser;
	readonly bytes: Buffer;
	readonly onConnected: () => void;
	/** A later request is refused: the client's connection is the caller's, all earlier answers written to it. */
	readonly onRefused: (refusal: Refusal) => void;
	/** Called once. `wasConnected` is false when the shard's port did not answer: the client has not been touched then. */
	readonly onShardClosed: (wasConnected: boolean) => void;
}

/** A loopback dial ends at once unless the shard's accept queue is full. */
const dialMs = 1000;

/**
 * One proxied connection. Request by request goes to the shard (`PassedRequests`) and its answers come back as they are, until one is
 * 101: what follows is a WebSocket's, and goes both ways untouched. Back-pressure both ways.
 */
export class Splice {
	readonly #client: Socket;
	readonly #shard: Socket;
	readonly #requests: PassedRequests;
	readonly #answers = new ResponseReader();
	/** Bytes of the answer to the request under way have come. */
	#answerBegun = false;
	/** Bytes of any answer have come. */
	#wasAnswered = false;
	#isConnected = false;
	#clientEnded = false;
	/** The client's connection is the caller's again. */
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
			onRefused: (refusal, what) => {
				this.#release();
				if (what === "body" && this.#answerBegun) client.destroy();
				else onRefused(refusal);
			},
		});
		// A client that leaves before there is a shard; later, one whose connection is over or broken.
		client.once("close", this.#onClientClosed);
		shard.setTimeout(dialMs, () => shard.destroy());
		shard.once("connect", () => {
			shard.setTimeout(0);
			this.#isConnected = true;
			onConnected();
			this.#begin(options.bytes, options.head);
		});
		// Errors are told by the "close" that follows them.
		shard.on("error", () => {});
		shard.once("close", () => {
			// Closed without an end: broken. After an end the client still takes what is on its way to it.
			if (!this.#isReleased && this.#isConnected && !client.writableEnded) client.destroy();
			this.#letGo();
			onShardClosed(this.#isConnected);
		});
	}

	/**
	 * Gives the client's connection back while the shard has not answered its first request: another shard may have it, if that may be repeated.
	 * False when that is not so any more.
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
	};

	/** @param step may write to the shard, several times: in one system call. */
	#pass(step: () => void): void {
		this.#shard.cork();
		step();
		this.#shard.uncork();
		this.#flow();
	}

	readonly #flow = (): void => {
		if (this.#isReleased) return;
		// Whoever has closed its sending side gets its answer first: a shard takes an end for the end of the connection.
		if (this.#clientEnded && !this.#requests.awaitsAnswer) this.#shard.end();
		if (this.#requests.wantsMore && !this.#shard.writableNeedDrain) this.#client.resume();
		else this.#client.pause();
	};

	readonly #resumeShard = (): void => {
		this.#shard.resume();
	};

	/** HTTP is over: bytes both ways from now on. */
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

	/** It takes no further request. What the client still sends is read and thrown away, or it would not read the last answer. */
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
		this.#letGo();
		this.#shard.destroy();
	}

	#letGo(): void {
		this.#stopListening();
		this.#client.removeListener("close", this.#onClientClosed);
	}

	#stopListening(): void {
		const [client, shard] = [this.#client, this.#shard];
		client.off("drain", this.#resumeShard).off("data", this.#onData).off("end", this.#onClientEnd);
		shard.off("data", this.#onAnswer).off("end", this.#onShardEnd).off("drain", this.#flow);
	}
}

import { connect, type Socket } from "node:net";
import { GrowingBytes, webSocketPaths } from "@shardcast/http";
import type { Refusal } from "../answer/refusal.ts";
import type { HeadParser } from "../head/head.ts";
import type { TargetFailure } from "../targets.ts";
import type { TargetTls } from "../tls/target-tls.ts";
import { FrameEnds } from "./frame-ends.ts";
import { PassedRequests, type PassedRequestsOptions } from "./passed-requests.ts";
import { ResponseReader } from "./response-reader.ts";

interface SpliceOptions extends Pick<PassedRequestsOptions, "headBytesMax" | "rewrite" | "judge"> {
	/** Where the target listens. */
	readonly target: { readonly host: string; readonly port: number };
	/** The complete head of the first request; `bytes` is everything received so far. */
	readonly head: HeadParser;
	readonly bytes: Buffer;
	/** Null = the target is reached without TLS. */
	readonly targetTls: TargetTls | null;
	/** Bytes to write to the target first; null = none. */
	readonly preface: Uint8Array | null;
	/** Limit for connecting, with the TLS handshake, in milliseconds. */
	readonly dialMs: number;
	/** Both connections are closed when nothing has passed for so long; 0 = never. */
	readonly idleMs: number;
	readonly onIdle: () => void;
	/**
	 * The target is a remote shard. Nothing of its response is passed on before the head is complete. Both connections end with the first response,
	 * unless that begins a WebSocket.
	 */
	readonly isLastHop: boolean;
	readonly onConnected: () => void;
	/** Called when a later request is refused. The client's connection belongs to the caller again; all earlier responses are written. */
	readonly onRefused: (refusal: Refusal, isHead: boolean) => void;
	/** Limit for the head of a remote shard's answer, in milliseconds; 0 = none. */
	readonly answerMs: number;
	/**
	 * Called when a remote shard answers that it cannot serve now ("unavailable") or as no shard does ("strange"), neither of which is passed on, or has not
	 * answered in time ("late"). The client's connection belongs to the caller again.
	 */
	readonly onUnserved: (why: "unavailable" | "strange" | "late") => void;
	/**
	 * Called once. "unreached" = the target's port did not answer; the client's connection is then untouched. "broken" = it has ended the connection before
	 * anything of its answer could be passed on, while the client waited for one.
	 */
	readonly onTargetClosed: (how: TargetFailure | "closed") => void;
}

/** A frame that closes a WebSocket with 1001, going away. */
const goingAway = Buffer.from([0x88, 2, 1001 >> 8, 1001 & 0xff]);
/** A head that is longer is passed on as it is. */
const heldBytesMax = 16_384;

/**
 * One proxied connection. Requests go to the target one by one (`PassedRequests`), and responses come back unchanged. After a 101 response, bytes
 * pass unchanged in both directions. Back-pressure works in both directions.
 */
export class Splice {
	readonly #client: Socket;
	readonly #target: Socket;
	readonly #requests: PassedRequests;
	readonly #answers = new ResponseReader();
	readonly #isLastHop: boolean;
	readonly #onUnserved: SpliceOptions["onUnserved"];
	readonly #answerMs: number;
	/** The request to a remote shard is for a WebSocket, at a path where shards have one. */
	readonly #isForClients: boolean;
	/** Runs until the head of a remote shard's answer is complete. */
	#answerTimer: NodeJS.Timeout | undefined;
	/** What has arrived of a response that is not passed on yet; null = responses are passed on as they come. */
	#held: GrowingBytes | null;
	/** The current request is for a WebSocket or a stream. */
	#isLasting: boolean;
	/** Bytes of the response to the current request were passed on. */
	#answerBegun = false;
	/** Bytes of any response were passed on. */
	#wasAnswered = false;
	#isConnected = false;
	#clientEnded = false;
	/** The client's connection belongs to the caller again. */
	#isReleased = false;
	/** Of the frames to a client that has a WebSocket on a remote shard; null = it has none. */
	#frames: FrameEnds | null = null;
	#isLeaving = false;

	constructor(client: Socket, options: SpliceOptions) {
		const { onConnected, onTargetClosed, onRefused, dialMs, idleMs, targetTls } = options;
		this.#client = client;
		this.#isLastHop = options.isLastHop;
		this.#onUnserved = options.onUnserved;
		this.#answerMs = options.answerMs;
		this.#isForClients = options.isLastHop && isForClients(options.head, options.bytes);
		this.#held = options.isLastHop ? new GrowingBytes() : null;
		this.#isLasting = options.head.isLasting;
		const { host, port } = options.target;
		const target = targetTls?.connect({ host, port }) ?? connect({ host, port, noDelay: true, allowHalfOpen: true });
		this.#target = target;
		this.#requests = new PassedRequests({
			...options,
			write: (bytes) => target.write(bytes),
			onPassed: ({ isHead, isLasting }) => {
				this.#answerBegun = false;
				this.#isLasting = isLasting;
				this.#answers.expect(isHead);
			},
			onRefused: (refusal, what, isHead) => {
				this.#release();
				if (what === "body" && this.#answerBegun) client.destroy();
				else onRefused(refusal, isHead);
			},
		});
		// The client disconnects before there is a target, or later its connection ends or breaks.
		client.once("close", this.#onClientClosed);
		// All that passes goes through this socket, in one direction or the other.
		target.setTimeout(dialMs, () => {
			if (this.#isConnected) options.onIdle();
			target.destroy();
		});
		target.once(targetTls === null ? "connect" : "secureConnect", () => {
			target.setTimeout(idleMs);
			this.#isConnected = true;
			onConnected();
			if (options.preface !== null) target.write(options.preface);
			this.#begin(options.bytes, options.head);
		});
		// "close" follows every error and handles it.
		target.on("error", () => {});
		target.once("close", () => {
			// Closed without an end: broken. After an end, the client still gets what is on its way.
			const isBroken = !this.#wasAnswered && !this.#isReleased && !client.destroyed && !this.#clientEnded;
			if (!this.#isReleased && this.#isConnected && !client.writableEnded) client.destroy();
			this.#detach();
			onTargetClosed(!this.#isConnected ? "unreached" : isBroken ? "broken" : "closed");
		});
	}

	/**
	 * Gives the client's connection back while the target has not answered its first request, so that another target can take it, provided the
	 * request may be repeated. False when it is too late for that.
	 */
	giveBack(): boolean {
		if (this.#wasAnswered || this.#isReleased || !this.#isConnected || this.#clientEnded || this.#client.destroyed) return false;
		this.#release();
		return true;
	}

	/**
	 * This process ends, and the remote shard goes on: the client of a WebSocket gets close code 1001 after the frame that is on its way. Without a
	 * WebSocket, nothing changes.
	 */
	leave(): void {
		this.#isLeaving = true;
		if (this.#frames?.isBetween) this.#goAway();
	}

	cut(): void {
		this.#client.destroy();
		this.#target.destroy();
	}

	#begin(bytes: Buffer, head: HeadParser): void {
		const [client, target] = [this.#client, this.#target];
		target.on("data", this.#onAnswer);
		target.on("end", this.#onTargetEnd);
		target.on("drain", this.#flow);
		client.on("drain", this.#resumeTarget);
		client.on("data", this.#onData);
		client.on("end", this.#onClientEnd);
		// It may have closed its side while nobody listened: together with its request, or before there was a target.
		this.#clientEnded = client.readableEnded;
		if (this.#leavesUnanswered()) return;
		if (this.#held !== null && this.#answerMs > 0) this.#answerTimer = setTimeout(this.#onLate, this.#answerMs);
		this.#pass(() => this.#requests.begin(bytes, head));
	}

	readonly #onData = (piece: Buffer): void => this.#pass(() => this.#requests.push(piece));

	readonly #onAnswer = (bytes: Buffer): void => {
		if (this.#held === null) this.#passBack(bytes);
		else this.#hold(this.#held, bytes);
	};

	/** A machine that breaks off within the head, or cannot serve now, has done nothing for the client. */
	#hold(held: GrowingBytes, piece: Buffer): void {
		held.append(piece);
		const bytes = held.all();
		const start = finalHeadStart(bytes);
		if (!beginsResponse(bytes, start)) {
			this.#unserved("strange");
			return;
		}
		if (bytes.indexOf("\r\n\r\n", start) < 0 && bytes.length <= heldBytesMax) return;
		this.#held = null;
		clearTimeout(this.#answerTimer);
		const why = this.#notServed(statusOf(bytes, start));
		if (why !== null && this.giveBack()) this.#onUnserved(why);
		else this.#passBack(bytes);
	}

	#notServed(status: number): "unavailable" | "strange" | null {
		if (isUnavailable(status)) return "unavailable";
		return this.#isForClients && isStrange(status) ? "strange" : null;
	}

	readonly #onLate = (): void => this.#unserved("late");

	#unserved(why: "strange" | "late"): void {
		if (this.giveBack()) this.#onUnserved(why);
		else this.cut();
	}

	#passBack(bytes: Buffer): void {
		this.#answerBegun = true;
		this.#wasAnswered = true;
		if (!this.#client.write(bytes)) this.#target.pause();
		const progress = this.#answers.take(bytes);
		if (progress === "switched") this.#join();
		else if (progress === "complete" && this.#isLastHop) this.#onTargetEnd();
		else if (progress === "complete") this.#pass(() => this.#requests.answered());
		else if (progress === "stream") this.#watchClient();
	}

	/** @param step may write to the target several times; all writes go out in one system call. */
	#pass(step: () => void): void {
		this.#target.cork();
		step();
		this.#target.uncork();
		if (!this.#leavesUnanswered()) this.#flow();
	}

	/** Ignores further bytes of the client, but notices when it closes: then the stream has no reader. */
	#watchClient(): void {
		const client = this.#client;
		this.#requests.end();
		this.#target.off("drain", this.#flow);
		client.off("data", this.#onData).off("end", this.#onClientEnd);
		client.once("end", () => this.#target.end());
		if (this.#clientEnded) this.#target.end();
		client.resume();
	}

	readonly #flow = (): void => {
		if (this.#isReleased) return;
		// A client that has closed its sending side gets its response first: a target treats an end as the end of the connection.
		if (this.#clientEnded && !this.#requests.awaitsAnswer) this.#target.end();
		if (this.#requests.wantsMore && !this.#target.writableNeedDrain) this.#client.resume();
		else this.#client.pause();
	};

	readonly #resumeTarget = (): void => {
		this.#target.resume();
	};

	/** HTTP is over: from now on bytes pass in both directions. */
	#join(): void {
		const [client, target] = [this.#client, this.#target];
		this.#stopListening();
		const rest = this.#requests.end();
		if (rest.length > 0) target.write(rest);
		client.pipe(target);
		if (this.#isLastHop) this.#passFrames();
		else target.pipe(client);
		if (this.#clientEnded) target.end();
		// A target closes its side when it is done with the connection. The client then gets what is on its way, but need not close its own side.
		target.once("end", () => {
			client.unpipe(target);
			client.resume();
			target.end();
		});
	}

	/** Like a pipe, and it can end between two frames. */
	#passFrames(): void {
		const [client, target] = [this.#client, this.#target];
		const frames = new FrameEnds();
		this.#frames = frames;
		frames.push(this.#answers.switched);
		client.on("drain", this.#resumeTarget);
		target.on("data", (bytes) => {
			const end = frames.push(bytes);
			if (this.#isLeaving && end > 0) {
				client.write(bytes.subarray(0, end));
				this.#goAway();
			} else if (!client.write(bytes)) target.pause();
		});
		target.once("end", () => client.end());
		if (this.#isLeaving && frames.isBetween) this.#goAway();
	}

	#goAway(): void {
		const [client, target] = [this.#client, this.#target];
		// What the client still sends is read, so that its end is noticed.
		client.unpipe(target).resume();
		client.end(goingAway);
		target.destroy();
	}

	readonly #onClientEnd = (): void => {
		this.#clientEnded = true;
		if (!this.#leavesUnanswered()) this.#flow();
	};

	/** A client that closes its side before its WebSocket or stream begins is gone; one with another request may still read the response. */
	#leavesUnanswered(): boolean {
		if (!this.#clientEnded || !this.#isLasting || this.#answerBegun || this.#isReleased) return false;
		this.cut();
		return true;
	}

	/** No further request is accepted. What the client still sends is read and discarded; otherwise it might not get the last response. */
	readonly #onTargetEnd = (): void => {
		this.#stopListening();
		this.#client.end();
		this.#client.resume();
		this.#target.end();
	};

	readonly #onClientClosed = (): void => {
		this.#target.destroy();
	};

	/** Gives the client's connection back. */
	#release(): void {
		this.#isReleased = true;
		this.#detach();
		this.#target.destroy();
	}

	#detach(): void {
		this.#stopListening();
		this.#client.removeListener("close", this.#onClientClosed);
	}

	#stopListening(): void {
		clearTimeout(this.#answerTimer);
		const [client, target] = [this.#client, this.#target];
		client.off("drain", this.#resumeTarget).off("data", this.#onData).off("end", this.#onClientEnd);
		target.off("data", this.#onAnswer).off("end", this.#onTargetEnd).off("drain", this.#flow);
	}
}

/** Where the first head begins that is not a complete interim one, such as 103 Early Hints. */
function finalHeadStart(response: Buffer): number {
	for (let start = 0; ; ) {
		const end = response.indexOf("\r\n\r\n", start);
		if (end < 0 || !/^HTTP\/1\.[01] 1(?!01)\d\d\b/.test(statusLine(response, start))) return start;
		start = end + 4;
	}
}

/** Whether it may become a response, however little of it has come. */
function beginsResponse(response: Buffer, start: number): boolean {
	const line = statusLine(response, start);
	return /^HTTP\/1\.[01] \d{3}/.test(line + "HTTP/1.1 101".slice(line.length));
}

/** A shard that cannot serve now says 503; a proxy in front of it that does not reach it says 502, 504 or another of these. What a shard failed at is 500. */
function isUnavailable(status: number): boolean {
	return status > 500;
}

/**
 * No shard answers a WebSocket so: it has a WebSocket at this path, and what it refuses is another 4xx. But a proxy does that passes no upgrades on (then even
 * a shard says 426), or redirects, or a web server at the wrong port.
 */
function isStrange(status: number): boolean {
	return (status >= 200 && status < 400) || status === 404 || status === 405 || status === 426;
}

/** At other paths a client may get anything, a page as well. */
function isForClients({ isUpgrade, targetStart, targetEnd }: HeadParser, bytes: Buffer): boolean {
	const [path] = bytes.toString("latin1", targetStart, targetEnd).split("?", 1);
	return isUpgrade && webSocketPaths.some((known) => known === path);
}

function statusOf(response: Buffer, start: number): number {
	return Number(statusLine(response, start).slice("HTTP/1.1 ".length, "HTTP/1.1 101".length));
}

/** Up to the character after the status. */
function statusLine(response: Buffer, start: number): string {
	return response.toString("latin1", start, start + 13);
}

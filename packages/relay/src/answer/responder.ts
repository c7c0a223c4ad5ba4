import type { Socket } from "node:net";
import { TrustedProxies } from "@shardcast/http";
import type { BalancerCounter } from "@shardcast/scoreboard";
import { DeadlineSet } from "../deadline-set.ts";
import type { HeadParser } from "../head/head.ts";
import { headerLines } from "../head/header-lines.ts";
import type { Answers } from "./answers.ts";
import type { BodyPlace } from "./one-request.ts";
import { type Refusal, Refusals, refusalAnswer } from "./refusal.ts";

/** Why a request that is not answered here is refused; null when it may pass. @param address returns that of the client. */
type Rules = (head: HeadParser, bytes: Buffer, address: () => string) => Refusal | null;

/** The most connections that are answered here at once; one more drops the oldest. */
const answeringMax = 1024;
/** How long a client may take to read its response and close, before its connection is dropped. */
const answerMs = 5000;

/** The common part of all data paths: checking heads, answering, refusing. Owned by the loop of its process. */
export class Responder {
	readonly count: (counter: BalancerCounter, amount: number) => void;
	/** Connections that get a response from this process and then close. A client that is dropped here did not read it. */
	readonly #leaving = new DeadlineSet<Socket>({ lifetimeMs: answerMs, itemsMax: answeringMax, expire: (socket) => socket.destroy() });
	readonly #answers: Answers;
	readonly #rules: Rules;
	#trustedProxies = new TrustedProxies([]);

	constructor(options: {
		readonly count: (counter: BalancerCounter, amount: number) => void;
		readonly answers: Answers;
		readonly trustedProxies: readonly string[];
		readonly rules: Rules;
	}) {
		this.count = options.count;
		this.#answers = options.answers;
		this.#rules = options.rules;
		this.trustedProxies = options.trustedProxies;
	}

	set trustedProxies(networks: readonly string[]) {
		this.#trustedProxies = new TrustedProxies(networks);
	}

	/** Number of connections that are being answered. */
	get leaving(): number {
		return this.#leaving.size;
	}

	/** Whether this process itself answers the request. */
	isOurs(head: HeadParser, bytes: Buffer): boolean {
		return this.#answers.has(bytes, head.targetStart, head.targetEnd);
	}

	/**
	 * Why a request that is not answered here may not pass; null when it may.
	 * @param peer the address that the connection comes from; called only if the rules need it.
	 */
	judge(head: HeadParser, bytes: Buffer, peer: () => string): Refusal | null {
		if (head.minorVersion === 0) return Refusals.oldVersion;
		return this.#rules(head, bytes, () => this.clientAddress(head, bytes, peer()));
	}

	/** Whether the connection comes from a proxy whose PROXY header is trusted. */
	isTrusted(peer: string): boolean {
		return this.#trustedProxies.has(peer);
	}

	/** The client's address: that of the connection, or the one reported by a trusted proxy. @param peer the address that the connection comes from. */
	clientAddress(head: HeadParser, bytes: Buffer, peer: string): string {
		return this.#trustedProxies.client(peer, () => headerLines(bytes, head.bytes, "x-forwarded-for"));
	}

	/**
	 * Takes over a socket.
	 * @param head of its request. Whatever is still unread is discarded.
	 * @param address of the client.
	 * @param body where the request's body is.
	 */
	answer(socket: Socket, head: Buffer, address: string, body: BodyPlace): void {
		this.count("answered", 1);
		this.#see(socket);
		this.#answers.take(socket, head, address, body);
	}

	/** Takes over a socket. What the client has sent is read and discarded, because closing with unread bytes would cut the response off. */
	refuse(socket: Socket, refusal: Refusal, isHead: boolean): void {
		this.count(refusal.counter, 1);
		this.#see(socket);
		// After an error the client is gone; "close" follows.
		socket.on("error", () => {});
		socket.resume();
		socket.end(refusalAnswer(refusal, isHead));
	}

	/** Refuses without waiting for the client to disconnect: there is no descriptor for that. Unread bytes reset the connection after the response. */
	turnAway(socket: Socket, refusal: Refusal, isHead: boolean): void {
		this.count(refusal.counter, 1);
		socket.on("error", () => {});
		// The socket accepts a refusal at once, since it is short.
		socket.write(refusalAnswer(refusal, isHead));
		socket.destroy();
	}

	/** Drops the oldest connection that is closing, if there is one: its response has been written. */
	cutOldest(): void {
		this.#leaving.takeOldest()?.destroy();
	}

	/** Gives a connection that is closing some time to send its last bytes. */
	closeGracefully(socket: Socket): void {
		this.#see(socket);
	}

	/** Drops the remaining connections; returns how many had not got their complete response. */
	close(): number {
		let cutOff = 0;
		for (const socket of this.#leaving.take()) {
			if (!socket.writableFinished) cutOff++;
			socket.destroy();
		}
		return cutOff;
	}

	#see(socket: Socket): void {
		this.#leaving.add(socket);
		socket.once("close", () => this.#leaving.delete(socket));
	}
}

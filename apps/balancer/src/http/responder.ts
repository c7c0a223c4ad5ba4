import type { Socket } from "node:net";
import { type AllowedOrigins, allowedOrigins, originAllowed, TrustedProxies } from "@shardcast/http";
import { type AddressKey, addressKeyOf, type ConnectionRates, type LimitAudit } from "@shardcast/limits";
import type { BalancerCounter } from "@shardcast/scoreboard";
import { monotonicMs } from "@shardcast/wire";
import { DeadlineSet } from "../deadline-set.ts";
import type { Picker } from "../pick.ts";
import type { Answers } from "./answers.ts";
import type { HeadParser } from "./head.ts";
import { headerLines } from "./header-lines.ts";
import { type Refusal, Refusals, refusalAnswer, withMessage } from "./refusal.ts";

/** The most connections that the balancer answers at once; one more drops the oldest. */
const answeringMax = 1024;
/** How long a client may take to read its response and close, before its connection is dropped. */
const answerMs = 5000;

/** The common part of both data paths: checking heads, answering, refusing. Owned by the balancer's loop. */
export class Responder {
	readonly count: (counter: BalancerCounter, amount: number) => void;
	/** Connections that get a response from the balancer and then close. A client that is dropped here did not read it. */
	readonly #leaving = new DeadlineSet<Socket>({ lifetimeMs: answerMs, itemsMax: answeringMax, expire: (socket) => socket.destroy() });
	readonly rates: ConnectionRates;
	readonly #answers: Answers;
	readonly #audit: Pick<LimitAudit, "refused">;
	#allowedOrigins: AllowedOrigins = allowedOrigins([]);
	#trustedProxies = new TrustedProxies([]);

	constructor(options: {
		readonly count: (counter: BalancerCounter, amount: number) => void;
		readonly answers: Answers;
		readonly allowedOrigins: readonly string[];
		readonly trustedProxies: readonly string[];
		readonly rates: ConnectionRates;
		readonly audit: Pick<LimitAudit, "refused">;
	}) {
		this.count = options.count;
		this.#answers = options.answers;
		this.rates = options.rates;
		this.#audit = options.audit;
		this.allowedOrigins = options.allowedOrigins;
		this.trustedProxies = options.trustedProxies;
	}

	set allowedOrigins(origins: readonly string[]) {
		this.#allowedOrigins = allowedOrigins(origins);
	}

	set trustedProxies(networks: readonly string[]) {
		this.#trustedProxies = new TrustedProxies(networks);
	}

	/** Number of connections that are being answered. */
	get leaving(): number {
		return this.#leaving.size;
	}

	/** Whether the balancer itself answers this request. */
	isOurs(head: HeadParser, bytes: Buffer): boolean {
		return this.#answers.has(bytes, head.targetStart, head.targetEnd);
	}

	/**
	 * Why a request that the balancer does not answer itself may not go to a shard; null when it may.
	 * @param peer the address that the connection comes from; called only while a rate for new connections is set.
	 */
	judge(head: HeadParser, bytes: Buffer, peer: () => string): Refusal | null {
		if (head.minorVersion === 0) return Refusals.oldVersion;
		if (head.originStart >= 0) {
			const origin = bytes.toString("latin1", head.originStart, head.originEnd);
			const host = bytes.toString("latin1", head.hostStart, head.hostEnd);
			if (!originAllowed(origin, host, this.#allowedOrigins)) return Refusals.forbidden;
		}
		return head.isLasting && !this.rates.isOff ? this.#overRate(addressKeyOf(this.clientAddress(head, bytes, peer()))) : null;
	}

	/** Whether the connection comes from a proxy whose PROXY header is trusted. */
	isTrusted(peer: string): boolean {
		return this.#trustedProxies.has(peer);
	}

	/** The client's address: that of the connection, or the one reported by a trusted proxy. @param peer the address that the connection comes from. */
	clientAddress(head: HeadParser, bytes: Buffer, peer: string): string {
		return this.#trustedProxies.client(peer, () => headerLines(bytes, head.bytes, "x-forwarded-for"));
	}

	#overRate(address: AddressKey): Refusal | null {
		const limit = this.rates.check(address, monotonicMs());
		if (limit === null) return null;
		this.#audit.refused(limit, address);
		return Refusals[limit];
	}

	/**
	 * Takes over a socket.
	 * @param head of its request. Whatever is still unread is discarded.
	 * @param address of the client.
	 */
	answer(socket: Socket, head: Buffer, address: string): void {
		this.count("answered", 1);
		this.#see(socket);
		this.#answers.take(socket, head, address);
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

/** Why no shard accepts a connection. */
export function placementRefusal(picker: Picker, isStopping: boolean): Refusal {
	if (isStopping) return Refusals.stopping;
	const { candidates } = picker;
	const serving = candidates.filter((candidate) => candidate.serving);
	if (serving.length === 0) return withMessage(Refusals.noShard, `none of ${candidates.length} shards serves now`);
	if (picker.allSilent) return withMessage(Refusals.noShard, `none of the ${serving.length} shards that serve responds now`);
	const taken = serving.reduce((sum, candidate) => sum + candidate.taken, 0);
	const max = serving.reduce((sum, candidate) => sum + candidate.max, 0);
	if (taken < max) return Refusals.behind;
	return withMessage(Refusals.full, `${serving.length} of ${candidates.length} shards serve, all full: ${taken}/${max} connections`);
}

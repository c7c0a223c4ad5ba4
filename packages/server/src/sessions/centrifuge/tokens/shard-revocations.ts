import {
	type Ask,
	type PartAnswers,
	type RevocationChange,
	Revocations,
	revocationMetrics,
	revocationsQuestion,
	revokeQuestion,
} from "@shardcast/control";
import { DisconnectCode, disconnects } from "@shardcast/protocol";
import type { Log, ProcessMetrics } from "@shardcast/telemetry";
import type { ClientSession } from "../../client-session.ts";
import { RepeatedChanges } from "./repeated-changes.ts";
import type { TokenId } from "./token-id.ts";
import type { VerifiedToken } from "./token-verifier.ts";

/** A client that a revocation can close. */
type RevocableClient = Pick<ClientSession, "user" | "token" | "isGone" | "disconnect" | "endRevoked">;

interface ShardRevocationsParts {
	readonly ask: Ask;
	readonly log: Pick<Log, "warn">;
	/** A copy of the list of all clients of this shard, whatever their protocols. */
	readonly clients: () => readonly RevocableClient[];
}

/**
 * After a start, the list is fetched this many times, a second apart: a change may have been sent before the other processes knew of this shard.
 */
const fetchesAfterStart = 5;

/**
 * The blocked users and revoked tokens that this shard knows. It fetches the whole list when it starts, and then gets each change in a request,
 * which is answered when the change is in force.
 */
export class ShardRevocations {
	readonly #parts: ShardRevocationsParts;
	readonly #revocations = new Revocations();
	#refused = 0;
	#closed = 0;
	#unsubscribed = 0;
	#fetchesLeft = fetchesAfterStart;
	#isFetching = false;
	readonly #repeats = new RepeatedChanges();
	/** Changes received so far. */
	#changes = 0;
	/** For each fetch of the list, the changes received since it began. Bound: what comes before the deadline of the question, a second. */
	readonly #sinceFetch = new Set<RevocationChange[]>();

	constructor(parts: ShardRevocationsParts) {
		this.#parts = parts;
	}

	answers(parts: PartAnswers): void {
		parts.add(revokeQuestion, async (change) => {
			this.#changes++;
			if (change === "all") return this.#takeAll();
			const ended = this.change(change);
			if (this.#repeats.has(change)) await this.#fetchAgain();
			return ended;
		});
	}

	measures(metrics: Pick<ProcessMetrics, "addReading">): void {
		metrics.addReading(revocationMetrics, () => ({
			count: (kind) => this.#revocations.count(kind),
			refused: this.#refused,
			ended: { connection: this.#closed, subscription: this.#unsubscribed },
		}));
	}

	/** Clients that connected before the list arrived are closed by it, if necessary. */
	async start(): Promise<void> {
		await this.#fetch();
	}

	everySecond(): void {
		if (this.#fetchesLeft > 0 && !this.#isFetching) void this.#fetch();
	}

	isBlocked(user: string): boolean {
		if (!this.#revocations.isBlocked(user)) return false;
		this.#refused++;
		return true;
	}

	/** For a token that was verified earlier and may have been revoked since. @param token null = none. */
	readonly isRevoked = (user: string, token: TokenId | null): boolean => {
		if (token === null || !this.#revokes(user, token)) return false;
		this.#refused++;
		return true;
	};

	/** Why a token is refused; null = it is not revoked. */
	readonly refusal = ({ user, claims: { jti, iat } }: VerifiedToken): string | null => {
		const why = this.#revocations.refusal({ user, jti, iat });
		if (why !== null) this.#refused++;
		return why;
	};

	/** @returns the number of connections closed plus subscriptions ended. */
	change(change: RevocationChange): number {
		for (const changes of this.#sinceFetch) changes.push(change);
		this.#apply(change);
		return "remove" in change ? 0 : this.#end(change.add.kind === "token" ? null : change.add.id);
	}

	#apply(change: RevocationChange): void {
		if ("remove" in change) this.#revocations.remove(change.remove.kind, change.remove.id);
		// The process that keeps the list has the same limit and found space.
		else this.#revocations.add(change.add);
	}

	/** The list has changed in many places. Resolves with the number of connections closed and subscriptions ended. */
	async #takeAll(): Promise<number> {
		const before = this.#closed + this.#unsubscribed;
		this.#fetchesLeft = fetchesAfterStart;
		await this.#fetch();
		return this.#closed + this.#unsubscribed - before;
	}

	/** If that fails, or another change comes meanwhile, it fetches the list again in a second. */
	async #fetchAgain(): Promise<void> {
		this.#fetchesLeft = Math.max(this.#fetchesLeft, 1);
		if (!this.#isFetching) await this.#fetch();
	}

	async #fetch(): Promise<void> {
		this.#isFetching = true;
		const changes = this.#changes;
		const since: RevocationChange[] = [];
		this.#sinceFetch.add(since);
		try {
			const entries = await this.#parts.ask(revocationsQuestion, null);
			// The list may lack a change that arrived in the meantime, or have a later one, so it is fetched again. Until then it is better than
			// none: while changes arrive all the time, each fetch has some.
			if (changes === this.#changes) this.#fetchesLeft--;
			// Entries that were removed in the meantime are dropped.
			this.#revocations.replace(entries);
			for (const change of since) this.#apply(change);
			if (entries.length > 0) this.#end(null);
		} catch (error) {
			// It is tried again in a second.
			this.#parts.log.warn(`blocked users and revoked tokens are not known yet: ${(error as Error).message}`);
		} finally {
			this.#sinceFetch.delete(since);
			this.#isFetching = false;
		}
	}

	/**
	 * Closes the connections and ends the subscriptions that are refused now. Iterates over all clients: 1 ms for 12,000.
	 * @param user only this user's; null = all. @returns how many.
	 */
	#end(user: string | null): number {
		const before = this.#closed + this.#unsubscribed;
		for (const client of this.#parts.clients()) {
			if (client.isGone || (user !== null && client.user !== user)) continue;
			const code = this.#closeCodeOf(client);
			if (code === null) this.#unsubscribed += client.endRevoked((token) => this.#revokes(client.user, token));
			else {
				client.disconnect(code, disconnects[code].reason);
				this.#closed++;
			}
		}
		return this.#closed + this.#unsubscribed - before;
	}

	/** Null = the client may stay. */
	#closeCodeOf({ user, token }: RevocableClient): DisconnectCode | null {
		if (user !== "" && this.#revocations.isBlocked(user)) return DisconnectCode.permissionDenied;
		return token !== null && this.#revokes(user, token) ? DisconnectCode.invalidToken : null;
	}

	#revokes(user: string, token: TokenId): boolean {
		return this.#revocations.refusal({ user, ...token }) !== null;
	}
}

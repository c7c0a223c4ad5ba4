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
import type { VerifiedToken } from "./token-verifier.ts";

export interface ShardRevocationsParts {
	readonly ask: Ask;
	readonly log: Pick<Log, "warn">;
	/** Closes the connections of a user on this shard, and says how many. */
	readonly disconnect: (order: { readonly user: string; readonly code: number; readonly reason: string }) => number;
}

/** After a start it looks this often, a second apart: a change may have come before the others knew of this shard. */
const looksAfterStart = 5;

/**
 * Blocked users and revoked tokens, as this shard knows them. It gets all of them when it starts, and each change by an order, which is
 * answered when it is in force.
 */
export class ShardRevocations {
	readonly #parts: ShardRevocationsParts;
	readonly #revocations = new Revocations();
	#refused = 0;
	#looksLeft = looksAfterStart;
	#isLooking = false;
	/** Changes so far by order. */
	#changes = 0;

	constructor(parts: ShardRevocationsParts) {
		this.#parts = parts;
	}

	answers(parts: PartAnswers): void {
		parts.add(revokeQuestion, (change) => {
			this.#changes++;
			return this.change(change);
		});
	}

	measures(metrics: Pick<ProcessMetrics, "addReading">): void {
		metrics.addReading(revocationMetrics, () => ({ count: (kind) => this.#revocations.count(kind), refused: this.#refused }));
	}

	/** Clients that come before the answer are closed with it, if need be. */
	async start(): Promise<void> {
		await this.#look();
	}

	everySecond(): void {
		if (this.#looksLeft > 0 && !this.#isLooking) void this.#look();
	}

	isBlocked(user: string): boolean {
		if (!this.#revocations.isBlocked(user)) return false;
		this.#refused++;
		return true;
	}

	/** Why a token is refused; null = it is not. */
	readonly refusal = ({ user, claims: { jti, iat } }: VerifiedToken): string | null => {
		const why = this.#revocations.refusal({ user, jti, iat });
		if (why !== null) this.#refused++;
		return why;
	};

	change(change: RevocationChange): number {
		if ("remove" in change) {
			this.#revocations.remove(change.remove.kind, change.remove.id);
			return 0;
		}
		// The one that keeps them has the same bound, and has found room.
		this.#revocations.add(change.add);
		return change.add.kind === "user" ? this.#close(change.add.id) : 0;
	}

	async #look(): Promise<void> {
		this.#isLooking = true;
		const changes = this.#changes;
		try {
			const entries = await this.#parts.ask(revocationsQuestion, null);
			// A change that has come meanwhile may not be in it: then it looks again.
			if (changes !== this.#changes) return;
			this.#looksLeft--;
			for (const entry of entries) this.change({ add: entry });
		} catch (error) {
			// It is tried again in a second.
			this.#parts.log.warn(`blocked users and revoked tokens are not known yet: ${(error as Error).message}`);
		} finally {
			this.#isLooking = false;
		}
	}

	#close(user: string): number {
		const { code, reason } = disconnects[DisconnectCode.permissionDenied];
		return this.#parts.disconnect({ user, code, reason });
	}
}

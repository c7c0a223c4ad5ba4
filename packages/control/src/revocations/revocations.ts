/** A revocation. Times are in seconds since 1970; `until` absent = until the whole server stops. */
export type Revocation =
	| { readonly kind: "user"; readonly id: string; readonly until?: number }
	/** `id` is a token's `jti`. */
	| { readonly kind: "token"; readonly id: string; readonly until?: number }
	/** Tokens of the user `id` that were issued before a time, or have no time of issue. */
	| { readonly kind: "user_tokens"; readonly id: string; readonly before: number; readonly until?: number };

export type RevocationKind = Revocation["kind"];
export const revocationKinds = ["user", "token", "user_tokens"] as const satisfies readonly RevocationKind[];

interface RevocableToken {
	/** "" = anonymous. */
	readonly user: string;
	readonly jti: unknown;
	readonly iat: unknown;
}

/** Most revocations; each takes about 200 bytes. */
export const revocationsMax = 100_000;

/** Blocked users and revoked tokens. The supervisor has the list, each shard a copy. Bound: `revocationsMax`. */
export class Revocations {
	readonly #entries = new Map<string, Revocation>();
	readonly #now: () => number;
	readonly #most: number;

	/** @param now returns seconds since 1970. */
	constructor(now: () => number = () => Date.now() / 1000, most: number = revocationsMax) {
		this.#now = now;
		this.#most = most;
	}

	/** Number of revocations, including some that have expired. */
	get size(): number {
		return this.#entries.size;
	}

	/** Revocations in effect. */
	get list(): readonly Revocation[] {
		this.#removeExpired();
		return [...this.#entries.values()];
	}

	count(kind: RevocationKind): number {
		let count = 0;
		for (const entry of this.#entries.values()) if (entry.kind === kind) count++;
		return count;
	}

	/** Adds a revocation, or replaces one with the same kind and id. False = too many. */
	add(entry: Revocation): boolean {
		const key = keyOf(entry.kind, entry.id);
		if (!this.#entries.has(key) && this.#entries.size >= this.#most) {
			this.#removeExpired();
			if (this.#entries.size >= this.#most) return false;
		}
		this.#entries.set(key, entry);
		return true;
	}

	/** Drops all revocations and takes those in the list, which has the same bound. */
	replace(list: readonly Revocation[]): void {
		this.#entries.clear();
		for (const entry of list) this.#entries.set(keyOf(entry.kind, entry.id), entry);
	}

	/** Null = there is none, or it has expired. */
	get(kind: RevocationKind, id: string): Revocation | null {
		return this.#inForce(kind, id);
	}

	remove(kind: RevocationKind, id: string): void {
		this.#entries.delete(keyOf(kind, id));
	}

	isBlocked(user: string): boolean {
		return this.#inForce("user", user) !== null;
	}

	/** Why the token is refused; null if it is not. Whether its user is blocked is another question. */
	refusal({ user, jti, iat }: RevocableToken): string | null {
		if (this.#entries.size === 0) return null;
		if (typeof jti === "string" && this.#inForce("token", jti) !== null) return "it is revoked";
		const tokens = this.#inForce("user_tokens", user);
		if (tokens?.kind !== "user_tokens" || (typeof iat === "number" && iat >= tokens.before)) return null;
		return "the tokens of its user from that time are revoked";
	}

	#inForce(kind: RevocationKind, id: string): Revocation | null {
		const key = keyOf(kind, id);
		const entry = this.#entries.get(key);
		if (entry === undefined) return null;
		if (entry.until === undefined || entry.until > this.#now()) return entry;
		this.#entries.delete(key);
		return null;
	}

	#removeExpired(): void {
		const now = this.#now();
		for (const [key, { until }] of this.#entries) if (until !== undefined && until <= now) this.#entries.delete(key);
	}
}

const keyOf = (kind: RevocationKind, id: string): string => `${kind} ${id}`;

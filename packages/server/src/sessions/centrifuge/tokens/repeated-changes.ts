import type { RevocationChange } from "@shardcast/control";

/** Longer than the orders of two changes that were made at the same moment can be apart. */
const rememberMs = 15_000;
/** With more changes in this time, each counts as repeated. */
const rememberedMax = 10_000;

/**
 * Finds changes that follow another one of the same user or token within seconds. Their orders may come in another order than that in which
 * the process that keeps the list made the changes, for example when one shard is asked to block a user and another to let the same user in. One owner, the shard's loop.
 */
export class RepeatedChanges {
	readonly #nowMs: () => number;
	#recent = new Set<string>();
	#older = new Set<string>();
	#sinceMs: number;

	constructor(nowMs: () => number = () => performance.now()) {
		this.#nowMs = nowMs;
		this.#sinceMs = nowMs();
	}

	/** Remembers the change. Returns whether there was another one of the same user or token. */
	has(change: RevocationChange): boolean {
		const passedMs = this.#nowMs() - this.#sinceMs;
		if (passedMs >= rememberMs) {
			this.#older = passedMs < 2 * rememberMs ? this.#recent : new Set();
			this.#recent = new Set();
			this.#sinceMs += passedMs;
		}
		const { kind, id } = "add" in change ? change.add : change.remove;
		const key = `${kind} ${id}`;
		if (this.#recent.has(key)) return true;
		if (this.#recent.size >= rememberedMax) return true;
		// Also one that is known: the next change may follow this one, and not the first.
		this.#recent.add(key);
		return this.#older.has(key);
	}
}

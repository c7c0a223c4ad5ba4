import type { Redis } from "@shardcast/redis";
import type { SessionAnswer, SessionOutcome, SessionRequest } from "@shardcast/selection";
import type { NodeKeys } from "../node-keys.ts";
import { sessionScript } from "./session-script.ts";

interface NodeSessionsParts {
	readonly redis: Pick<Redis, "run" | "state">;
	readonly keys: Pick<NodeKeys, "session">;
	/** How long Redis keeps a session that nobody asks for. */
	readonly ttlMs: number;
	/** Monotonic. */
	readonly nowMs?: () => number;
	/** Replaced in tests. */
	readonly createdMax?: number;
}

/** Most sessions that a node makes within their time to live: anybody may ask `/cluster/select`, with any user. About 300 bytes of Redis each. */
const createdMax = 200_000;

/**
 * Which node the clients of a user, or a connection, belong to: an entry in Redis for each, which expires. A session is followed while its node can take
 * clients; nobody has to look for the sessions of a node that is gone. **One per node.**
 *
 * Bound: `createdMax`; more sessions are not made, and counted as full.
 */
export class NodeSessions {
	readonly counts: Record<SessionOutcome, number> = { kept: 0, moved: 0, new: 0, full: 0, unavailable: 0 };
	readonly #parts: NodeSessionsParts;
	readonly #nowMs: () => number;
	readonly #createdMax: number;
	/** New sessions of this window, which is as long as a session lives, and of the one before. */
	#created = 0;
	#createdBefore = 0;
	#windowMs: number;

	constructor(parts: NodeSessionsParts) {
		this.#parts = parts;
		this.#nowMs = parts.nowMs ?? (() => performance.now());
		this.#windowMs = this.#nowMs();
		this.#createdMax = parts.createdMax ?? createdMax;
	}

	/** Never rejects: what Redis does not answer is "unavailable". */
	assign(requests: readonly SessionRequest[]): Promise<readonly SessionAnswer[]> {
		this.#roll();
		return Promise.all(requests.map((request) => this.#assign(request)));
	}

	async #assign({ of, id, node, follow, address, metadata }: SessionRequest): Promise<SessionAnswer> {
		const { redis, keys, ttlMs } = this.#parts;
		if (redis.state !== "ready") return this.#counted({ node, outcome: "unavailable" });
		const mayCreate = this.#created + this.#createdBefore < this.#createdMax;
		// Before the reply, so that many at once do not exceed the limit.
		if (mayCreate) this.#created++;
		let answer: SessionAnswer = { node, outcome: "unavailable" };
		try {
			const session = JSON.stringify({ [of]: id, node, address });
			const args = [session, metadata, String(ttlMs), mayCreate ? "1" : "", ...follow];
			const [outcome, kept] = (await redis.run(sessionScript, [keys.session(of, id)], args)) as readonly unknown[];
			answer = { node: String(kept), outcome: String(outcome) as SessionOutcome };
		} catch {
			// Redis is away, or the key is of another type.
		}
		if (mayCreate && answer.outcome !== "new") this.#created--;
		return this.#counted(answer);
	}

	#counted(answer: SessionAnswer): SessionAnswer {
		this.counts[answer.outcome]++;
		return answer;
	}

	#roll(): void {
		const { ttlMs } = this.#parts;
		const passedMs = this.#nowMs() - this.#windowMs;
		if (passedMs < ttlMs) return;
		this.#createdBefore = passedMs < 2 * ttlMs ? this.#created : 0;
		this.#created = 0;
		this.#windowMs += Math.floor(passedMs / ttlMs) * ttlMs;
	}
}

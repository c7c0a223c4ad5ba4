import type { Config } from "@shardcast/config";
import { RateLimit } from "@shardcast/limits";
import type { Counters } from "@shardcast/scoreboard";
import type { CentrifugeSession } from "./centrifuge-session.ts";

/** Enforces `--message-rate` for each client. */
export class MessageRate {
	readonly #row: Pick<Counters, "add"> & { readonly connectionsMax: number };
	readonly limit: RateLimit<CentrifugeSession>;

	constructor(config: Pick<Config, "messageRate">, row: Pick<Counters, "add"> & { readonly connectionsMax: number }) {
		this.#row = row;
		this.limit = new RateLimit(config.messageRate, row.connectionsMax);
	}

	/** The number of clients that are tracked. */
	get count(): number {
		return this.limit.count;
	}

	/** Whether the client may send one more message now. Counts a refusal. */
	readonly under = (session: CentrifugeSession): boolean => {
		if (this.limit.isOff || this.limit.take(session, performance.now())) return true;
		this.#row.add("rateLimited", 1);
		return false;
	};

	forget(session: CentrifugeSession): void {
		this.limit.forget(session);
	}

	/** Applies new options. */
	set({ messageRate }: Pick<Config, "messageRate">): void {
		this.limit.perSecond = messageRate;
		this.limit.clientsMax = this.#row.connectionsMax;
	}
}

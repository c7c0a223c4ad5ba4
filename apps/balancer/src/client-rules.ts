import { type AllowedOrigins, allowedOrigins, originAllowed } from "@shardcast/http";
import { addressKeyOf, type ConnectionRateConfig, type ConnectionRates, type LimitAudit } from "@shardcast/limits";
import { type HeadParser, type Refusal, Refusals } from "@shardcast/relay";
import { monotonicMs } from "@shardcast/wire";

interface ClientRulesParts {
	readonly allowedOrigins: readonly string[];
	readonly rates: ConnectionRates;
	readonly audit: Pick<LimitAudit, "refused">;
}

interface ClientRulesConfig extends ConnectionRateConfig {
	readonly allowedOrigins: readonly string[];
}

/** Which requests of clients may go to a shard: by their origin, and by the rate of new connections. */
export class ClientRules {
	readonly #rates: ConnectionRates;
	readonly #audit: Pick<LimitAudit, "refused">;
	#allowedOrigins: AllowedOrigins;

	constructor({ allowedOrigins: origins, rates, audit }: ClientRulesParts) {
		this.#rates = rates;
		this.#audit = audit;
		this.#allowedOrigins = allowedOrigins(origins);
	}

	get allowedOrigins(): AllowedOrigins {
		return this.#allowedOrigins;
	}

	change(config: ClientRulesConfig): void {
		this.#allowedOrigins = allowedOrigins(config.allowedOrigins);
		this.#rates.change(config);
	}

	/** Why it may not pass; null when it may. @param client returns the client's address; called only while a rate for new connections is set. */
	readonly judge = (head: HeadParser, bytes: Buffer, client: () => string): Refusal | null => {
		if (head.originStart >= 0) {
			const origin = bytes.toString("latin1", head.originStart, head.originEnd);
			const host = bytes.toString("latin1", head.hostStart, head.hostEnd);
			if (!originAllowed(origin, host, this.#allowedOrigins)) return Refusals.forbidden;
		}
		return head.isLasting && !this.#rates.isOff ? this.#overRate(client()) : null;
	};

	#overRate(client: string): Refusal | null {
		const address = addressKeyOf(client);
		const limit = this.#rates.check(address, monotonicMs());
		if (limit === null) return null;
		this.#audit.refused(limit, address);
		return Refusals[limit];
	}
}

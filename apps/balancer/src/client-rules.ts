import { type AllowedOrigins, allowedOrigins, originAllowed } from "@shardcast/http";
import { addressKeyOf, type ConnectionRateConfig, type ConnectionRates, type LimitAudit } from "@shardcast/limits";
import { type HeadParser, type Refusal, Refusals } from "@shardcast/relay";
import { monotonicMs } from "@shardcast/wire";

interface ClientRulesParts {
	readonly allowedOrigins: readonly string[];
	readonly rates: ConnectionRates;
	readonly audit: Pick<LimitAudit, "refused">;
	/** Whether no shard may get new clients, because guards act. */
	readonly isOverloaded: () => boolean;
}

interface ClientRulesConfig extends ConnectionRateConfig {
	readonly allowedOrigins: readonly string[];
}

/** The console's feed. Operators need it most when guards act. */
const consolePath = Buffer.from("/console/");

/** Which requests of clients may go to a shard: by their origin, by the guards, and by the rate of new connections. */
export class ClientRules {
	readonly #rates: ConnectionRates;
	readonly #audit: Pick<LimitAudit, "refused">;
	readonly #isOverloaded: () => boolean;
	#allowedOrigins: AllowedOrigins;

	constructor({ allowedOrigins: origins, rates, audit, isOverloaded }: ClientRulesParts) {
		this.#rates = rates;
		this.#audit = audit;
		this.#isOverloaded = isOverloaded;
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
		if (!head.isLasting) return null;
		if (this.#isOverloaded() && !isConsole(head, bytes)) return Refusals.overloaded;
		return this.#rates.isOff ? null : this.#overRate(client());
	};

	#overRate(client: string): Refusal | null {
		const address = addressKeyOf(client);
		const limit = this.#rates.check(address, monotonicMs());
		if (limit === null) return null;
		this.#audit.refused(limit, address);
		return Refusals[limit];
	}
}

function isConsole({ targetStart }: HeadParser, bytes: Buffer): boolean {
	return bytes.compare(consolePath, 0, consolePath.length, targetStart, targetStart + consolePath.length) === 0;
}

import { isDeepStrictEqual } from "node:util";
import type { Config } from "@shardcast/config";
import { BoundedLines, type Log } from "@shardcast/telemetry";
import type { Commit } from "../../../lifecycle/feature.ts";
import { connectionTokenRules, subscriptionTokenRules, type TokenEvents, type TokenRules, TokenVerifier } from "./token-verifier.ts";
import { VerificationTurns } from "./verification-turns.ts";

/** At most one log line for each kind of problem in this time, since anybody can send invalid tokens. */
const lineEveryMs = 10_000;

/** Events about tokens that other parts of the shard handle. */
type VerifierEvents = Pick<TokenEvents, "revoked" | "userIdTooLong">;

/** The verifiers of both kinds of tokens, as of the last reload. Logs why tokens are refused; clients are not told the reason. */
export class Verifiers {
	readonly #log: Pick<Log, "error" | "warn">;
	readonly #keyErrors = new BoundedLines(lineEveryMs);
	readonly #invalidTokens = new BoundedLines(lineEveryMs);
	readonly #events: VerifierEvents;
	readonly #turns = new VerificationTurns();
	#connection: TokenVerifier;
	#subscription: TokenVerifier;

	constructor(config: Config, log: Pick<Log, "error" | "warn">, events: VerifierEvents = {}) {
		this.#log = log;
		this.#events = events;
		this.#connection = this.#verifier(connectionTokenRules(config));
		this.#subscription = this.#verifier(subscriptionTokenRules(config));
	}

	/** Verifies connection tokens. */
	get connection(): TokenVerifier {
		return this.#connection;
	}

	/** Verifies subscription tokens. */
	get subscription(): TokenVerifier {
		return this.#subscription;
	}

	reload(config: Config): Commit {
		const connection = this.#verifier(connectionTokenRules(config), this.#connection);
		const subscription = this.#verifier(subscriptionTokenRules(config), this.#subscription);
		return () => {
			this.#connection = connection;
			this.#subscription = subscription;
		};
	}

	/** The present verifier, with the keys that it has fetched, if its rules have not changed. */
	#verifier(rules: TokenRules, present?: TokenVerifier): TokenVerifier {
		if (present !== undefined && isDeepStrictEqual(present.rules, rules)) return present;
		const log = this.#log;
		const told: TokenEvents = {
			...this.#events,
			unavailable: (error) =>
				this.#keyErrors.offer((leftOut) =>
					log.error({ error, leftOut }, `the keys for tokens could not be fetched from ${rules.jwksEndpoint}`),
				),
			invalid: (why) => this.#invalidTokens.offer((leftOut) => log.warn({ leftOut }, `a client's token is invalid: ${why}`)),
		};
		return new TokenVerifier(rules, told, this.#turns);
	}
}

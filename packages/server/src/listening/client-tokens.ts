import type { Config } from "@shardcast/config";
import { type Reply, tokenIn } from "@shardcast/http";
import type { Log } from "@shardcast/telemetry";
import type { Commit } from "../lifecycle/feature.ts";
import type { ConnectionClaims } from "../sessions/centrifuge/tokens/connection-token.ts";
import { Verifiers } from "../sessions/centrifuge/tokens/verifiers.ts";
import { RawAccess, type RawAccessParts } from "../sessions/raw/raw-access.ts";
import type { UpgradeHead } from "../transports/upgrade-request.ts";

interface ClientTokensParts {
	readonly config: Config;
	readonly live: RawAccessParts["live"];
	readonly log: Pick<Log, "error" | "warn">;
}

/** Says who a client is by the token in its request, by the rules of the raw endpoint. */
export class ClientTokens {
	readonly #live: RawAccessParts["live"];
	readonly #verifiers: Verifiers;
	readonly #access: RawAccess;

	constructor({ config, live, log }: ClientTokensParts) {
		this.#live = live;
		this.#verifiers = new Verifiers(config, log);
		this.#access = new RawAccess({ live, tokens: () => this.#verifiers.connection, unixTime: () => Date.now() / 1000 });
	}

	/** The token in a request; "" = none. */
	tokenIn(head: Pick<UpgradeHead, "query" | "header">): string {
		return tokenIn(head, this.#live.config.rawTokenCookie);
	}

	/** Whether a client with this token is let in without a check. */
	isOpenTo(token: string): boolean {
		return this.#access.isOpenTo(token);
	}

	/** Null = it has not authenticated, and need not. Never rejects. */
	identify(token: string): Promise<{ readonly identity: ConnectionClaims | null } | { readonly refused: Reply }> {
		return this.#access.identify(token);
	}

	/** Whether clients that are connected without a token have to go when these options are applied. */
	expelsAnonymous(config: Config): boolean {
		return this.#access.expelsAnonymous(config);
	}

	/** See `Feature.reload`. */
	reload(config: Config): Commit {
		return this.#verifiers.reload(config);
	}
}

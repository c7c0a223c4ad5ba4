import type { Config } from "@shardcast/config";
import { ConnectionBuckets, type RatedCommand, RateKind, RatePlan, type RateTable } from "@shardcast/limits";
import type { Counters } from "@shardcast/scoreboard";
import type { Commit } from "../../lifecycle/feature.ts";
import { userKey } from "../../limits/user-key.ts";
import type { CentrifugeSession } from "./centrifuge-session.ts";

type RatesConfig = Pick<Config, "clientCommandRates" | "userCommandRates">;

interface CommandRatesParts {
	readonly config: RatesConfig;
	/** The buckets of users, shared by all shards. */
	readonly table: RateTable;
	readonly counters: Pick<Counters, "add">;
	/** See `monotonicMs`. */
	readonly nowMs: () => number;
}

const commands: readonly RatedCommand[] = [
	"subscribe",
	"unsubscribe",
	"publish",
	"history",
	"presence",
	"presenceStats",
	"refresh",
	"subRefresh",
	"rpc",
	"send",
];

/**
 * Enforces `client.rate_limit`: how many commands a connection, and a user over all connections and shards, may send in an interval. Unsubscribe
 * commands are counted but never refused: a client that could not unsubscribe would keep getting what it no longer wants.
 *
 * Owned by the shard's loop. A limit that is off costs one comparison; a connection gets buckets with its first command. Taking from a
 * connection's bucket costs some nanoseconds, from a user's about two microseconds.
 */
export class CommandRates {
	readonly #parts: CommandRatesParts;
	#client!: RatePlan;
	#user!: RatePlan;

	constructor(parts: CommandRatesParts) {
		this.#parts = parts;
		this.prepare(parts.config)();
	}

	/** See `Feature.reload`. If its limits stay the same, a user's bucket keeps its content; a connection's starts full. */
	prepare({ clientCommandRates, userCommandRates }: RatesConfig): Commit {
		const client = new RatePlan(clientCommandRates, commands);
		const user = new RatePlan(userCommandRates, ["connect", ...commands]);
		return () => {
			this.#client = client;
			this.#user = user;
		};
	}

	/** Takes one command from the buckets. False = the command is over a limit; the refusal is counted. */
	take(session: CentrifugeSession, command: RatedCommand): boolean {
		if (this.#client.isOff && this.#user.isOff) return true;
		return (this.#takeOfClient(session, command) && this.takeOfUser(session.user, command)) || command === "unsubscribe";
	}

	/** Like `take`, for the user alone. @param user "" = anonymous, which is not limited. */
	takeOfUser(user: string, command: RatedCommand): boolean {
		if (this.#user.isOff || user === "") return true;
		const { table, counters } = this.#parts;
		const nowMs = this.#parts.nowMs();
		const buckets = this.#user.of(command).map((bucket) => ({ bucket, key: userKey(user, bucket.name) }));
		const under =
			buckets.every(({ bucket, key }) => table.hasOf(RateKind.commands, key, bucket, nowMs)) &&
			buckets.every(({ bucket, key }) => table.takeOf(RateKind.commands, key, bucket, nowMs));
		if (!under) counters.add("commandsOverUserRate", 1);
		return under;
	}

	#takeOfClient(session: CentrifugeSession, command: RatedCommand): boolean {
		if (this.#client.isOff) return true;
		if (session.buckets?.plan !== this.#client) session.buckets = new ConnectionBuckets(this.#client);
		if (session.buckets.take(command, this.#parts.nowMs())) return true;
		this.#parts.counters.add("commandsOverClientRate", 1);
		return false;
	}
}

import type { Config } from "@shardcast/config";
import type { PartAnswers } from "@shardcast/control";
import type { Route } from "@shardcast/http";
import type { ProcessMetrics } from "@shardcast/telemetry";
import type { SessionFactory } from "../sessions/session.ts";
import type { TopicTransport } from "../transports/transport.ts";

/** Brings what was prepared into force. */
export type Commit = () => void;

/**
 * A part of the shard that starts, drains and stops. It gets what it needs by its constructor; `Features` calls all of them in the order in
 * which the shard lists them. Every member but the name is optional.
 */
export interface Feature {
	/** Its name in the log. */
	readonly name: string;
	/** What it answers over HTTP. */
	readonly routes?: readonly Route[];
	/** WebSocket endpoints. */
	readonly endpoints?: readonly SessionFactory<TopicTransport>[];
	/** Registers its answers to questions. Called once, before anything starts. */
	answers?(parts: PartAnswers): void;
	/**
	 * All features start at once: what comes before the first await runs in their order, before any event is handled. Rejects when the shard
	 * cannot serve.
	 */
	start?(): void | Promise<void>;
	/** Adds its metrics. Called once, when all have started. */
	measures?(metrics: Pick<ProcessMetrics, "addReading">): void;
	/** All have started, and the shard serves. */
	serving?(): void;
	/**
	 * Prepares for options that change at run time, and changes nothing that anybody can see.
	 * @throws when it cannot work with them: then none of the features gets them.
	 * @returns what brings them into force. It must not fail. It is called at once when all features could prepare, and never otherwise.
	 */
	reload?(config: Config): Commit;
	/** About once a second while it serves. */
	everySecond?(): void;
	/**
	 * Refuses new work and finishes what it has; the features before it have done so. Returns within the given time, finished or not;
	 * `unfinished` then says how much is left.
	 */
	drain?(leftMs: number): void | Promise<void>;
	/** The share of the whole drain's time by whose end it must be done; a quarter if not given, so that the last ones have time. */
	readonly drainShare?: number;
	/** Accepted work that is not finished: what a drain has cut off. */
	unfinished?(): number;
	/** Releases everything, finished or not. The features after it have stopped. Also called when it never started. */
	stop?(): void | Promise<void>;
}

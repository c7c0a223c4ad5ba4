import type { Config } from "@shardcast/config";
import type { PartAnswers } from "@shardcast/control";
import type { Route } from "@shardcast/http";
import type { ProcessMetrics } from "@shardcast/telemetry";
import type { SessionFactory } from "../sessions/session.ts";
import type { TopicTransport } from "../transports/transport.ts";

/** Applies prepared options. */
export type Commit = () => void;

/**
 * A part of the shard that starts, drains and stops. It gets its dependencies in its constructor. `Features` calls the features in the order of the
 * shard's list. All members except the name are optional.
 */
export interface Feature {
	/** Its name in the log. */
	readonly name: string;
	/** HTTP routes. */
	readonly routes?: readonly Route[];
	/** WebSocket endpoints. */
	readonly endpoints?: readonly SessionFactory<TopicTransport>[];
	/** Registers its answers to questions. Called once, before anything starts. */
	answers?(parts: PartAnswers): void;
	/**
	 * All features start concurrently. The code before the first await runs in list order, before any event is handled. Rejects if the shard cannot
	 * serve.
	 */
	start?(): void | Promise<void>;
	/** Adds its metrics. Called once, when all features have started. */
	measures?(metrics: Pick<ProcessMetrics, "addReading">): void;
	/** Called when all features have started and the shard serves. */
	serving?(): void;
	/**
	 * Prepares for new live options, without any visible effect.
	 * @throws when it cannot use them: then no feature gets them.
	 * @returns a function that applies them and must not fail. It is called at once if all features could prepare, otherwise never.
	 */
	reload?(config: Config): Commit;
	/** Called about once a second while the shard serves. */
	everySecond?(): void;
	/**
	 * Refuses new work and finishes accepted work. The features before it have done so already. Resolves within the given time, finished or not;
	 * `unfinished` returns what is left.
	 */
	drain?(leftMs: number): void | Promise<void>;
	/** It must finish within this share of the whole drain's time; a quarter by default, so that time is left for the last features. */
	readonly drainShare?: number;
	/** Number of unfinished items, which a drain cuts off. */
	unfinished?(): number;
	/** Releases everything, finished or not. The features after it have stopped already. Also called if it never started. */
	stop?(): void | Promise<void>;
}

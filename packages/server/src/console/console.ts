import { type ConsolePart, consoleQuestion, type PartAnswers } from "@shardcast/control";
import type { Route } from "@shardcast/http";
import { monotonicMs } from "@shardcast/wire";
import type { Hub } from "../hub/hub.ts";
import type { Feature } from "../lifecycle/feature.ts";
import type { LiveConfig } from "../lifecycle/live-config.ts";
import type { ShardOptions } from "../lifecycle/shard-options.ts";
import { version } from "../lifecycle/version.ts";
import type { ConnectionCheck } from "../limits/connection-check.ts";
import type { BusyChannel } from "./channel-activity.ts";
import { ConsoleEndpoint } from "./console-endpoint.ts";
import { consoleEvents } from "./console-events.ts";
import { ConsoleFeed } from "./console-feed.ts";
import { type ConsoleSnapshot, consoleSnapshot } from "./console-snapshot.ts";

export interface ConsoleParts {
	readonly options: Pick<ShardOptions, "row" | "board" | "ask" | "ingest">;
	readonly live: LiveConfig;
	readonly hub: Hub;
	readonly check: Pick<ConnectionCheck, "stopping" | "address" | "overRate">;
}

/** The console, as far as this shard serves it: its feed, and what only this shard knows of what the others show. */
export class Console implements Feature {
	readonly name = "console";
	readonly feed: ConsoleFeed;
	readonly endpoints: readonly ConsoleEndpoint[];
	readonly routes: readonly Route[];
	readonly #parts: ConsoleParts;

	constructor(parts: ConsoleParts) {
		const { live, check } = parts;
		this.#parts = parts;
		this.feed = new ConsoleFeed({ nowMs: monotonicMs, snapshot: (busiest) => this.#snapshot(busiest) });
		const access = { feed: this.feed, check, token: () => live.config.consoleToken };
		this.endpoints = [new ConsoleEndpoint(access)];
		this.routes = [consoleEvents(access)];
	}

	answers(parts: PartAnswers): void {
		const { options, hub } = this.#parts;
		const { row, ingest } = options;
		parts.add(consoleQuestion, ({ channels }): ConsolePart => {
			return { slot: row.slot, subscribers: channels.map((channel) => hub.reach(channel)), kafka: ingest?.glance() ?? null };
		});
	}

	/** Its pages come back by themselves, before the clients are told. */
	drain(): void {
		this.feed.close();
	}

	stop(): void {
		this.feed.close();
	}

	async #snapshot(busiest: readonly BusyChannel[]): Promise<ConsoleSnapshot> {
		const { options, live } = this.#parts;
		const { board, ask } = options;
		const { events, parts } = await ask(consoleQuestion, { channels: busiest.map(({ name }) => name) });
		return consoleSnapshot(board, {
			version,
			mayPublish: live.mayPublish,
			atMs: Date.now(),
			monotonicMs: monotonicMs(),
			channels: busiest,
			kafkaMode: live.config.kafkaMode,
			events,
			parts,
		});
	}
}

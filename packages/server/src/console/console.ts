import type { ChannelLog } from "@shardcast/channel-log";
import { authRequired, type Config } from "@shardcast/config";
import {
	type ConsolePart,
	channelsQuestion,
	consoleQuestion,
	type ListedChannel,
	listedChannelsMax,
	type PartAnswers,
} from "@shardcast/control";
import { openAccess, type Route } from "@shardcast/http";
import { monotonicMs } from "@shardcast/wire";
import type { Hub } from "../hub/hub.ts";
import type { Commit, Feature } from "../lifecycle/feature.ts";
import type { LiveConfig } from "../lifecycle/live-config.ts";
import type { ShardOptions } from "../lifecycle/shard-options.ts";
import type { ConnectionCheck } from "../limits/connection-check.ts";
import { version } from "../version.ts";
import type { BusyChannel } from "./channel-activity.ts";
import { ConsoleEndpoint } from "./console-endpoint.ts";
import { consoleEvents } from "./console-events.ts";
import { ConsoleFeed } from "./console-feed.ts";
import { type ConsoleChannel, type ConsoleSnapshot, consoleSnapshot } from "./console-snapshot.ts";

interface ConsoleParts {
	readonly options: Pick<ShardOptions, "row" | "board" | "ask" | "ingest">;
	readonly live: LiveConfig;
	readonly hub: Hub;
	/** Channels of this shard's clients of the Centrifuge protocol. */
	readonly channels: {
		list(search: string, most: number): readonly ListedChannel[];
		/** Number of clients in presence. */
		present(channel: string): number;
	};
	readonly history: Pick<ChannelLog, "summary">;
	readonly check: Pick<ConnectionCheck, "stopping" | "address" | "overRate">;
}

/** The shard's part of the console: its feed, and this shard's values for the feeds of others. */
export class Console implements Feature {
	readonly name = "console";
	readonly feed: ConsoleFeed;
	readonly endpoints: readonly ConsoleEndpoint[];
	readonly routes: readonly Route[];
	readonly #parts: ConsoleParts;

	constructor(parts: ConsoleParts) {
		const { live, check } = parts;
		this.#parts = parts;
		this.feed = new ConsoleFeed({
			nowMs: monotonicMs,
			snapshot: (busy) => this.#snapshot(busy),
			find: (search, busy) => this.#find(search, busy),
		});
		const access = { feed: this.feed, check, rules: () => ({ token: live.config.consoleToken, authRequired: live.authRequired }) };
		this.endpoints = [new ConsoleEndpoint(access)];
		this.routes = [consoleEvents(access)];
	}

	answers(parts: PartAnswers): void {
		const { options, hub, channels: ours } = this.#parts;
		const { row, ingest } = options;
		parts.add(consoleQuestion, ({ channels }): ConsolePart => {
			return {
				slot: row.slot,
				subscribers: channels.map((channel) => hub.reach(channel)),
				present: channels.map((channel) => ours.present(channel)),
				kafka: ingest?.summary() ?? null,
			};
		});
		parts.add(channelsQuestion, ({ search }) => ours.list(search, listedChannelsMax));
	}

	/** Pages that came under other rules are closed: they reconnect, and have to show the token. */
	reload(config: Config): Commit {
		const { live } = this.#parts;
		const changes = config.consoleToken !== live.config.consoleToken || (authRequired(config) && !live.authRequired);
		return () => {
			if (changes) this.feed.close();
		};
	}

	/** Closes the console pages before the clients. They reconnect by themselves. */
	drain(): void {
		this.feed.close();
	}

	stop(): void {
		this.feed.close();
	}

	/** A snapshot with the busiest channels, filled up with those that have the most subscribers. */
	async #snapshot(busy: readonly BusyChannel[]): Promise<ConsoleSnapshot> {
		const { options, live } = this.#parts;
		const { board, ask } = options;
		const shown = busy.slice(0, busiestMax);
		const idle = shown.length < busiestMax ? await ask(channelsQuestion, { search: "" }) : [];
		const { channels, answer } = await this.#describe(withOthers(shown, idle, busiestMax));
		return consoleSnapshot(board, {
			version,
			...openAccess(live.config),
			atMs: Date.now(),
			monotonicMs: monotonicMs(),
			channels,
			kafkaMode: live.config.kafkaMode,
			events: answer.events,
			parts: answer.parts,
			nodes: answer.nodes,
			remotes: answer.remotes,
			// A supervisor of an older version does not say.
			scaling: answer.scaling ?? null,
		});
	}

	/** Finds channels on all shards whose names contain a text: busy ones, and those with subscribers. */
	async #find(search: string, busy: readonly BusyChannel[]): Promise<readonly ConsoleChannel[]> {
		const matching = busy.filter(({ name }) => name !== "" && name.includes(search));
		const listed = await this.#parts.options.ask(channelsQuestion, { search });
		const rates = new Map(matching.map(({ name, perSecond }) => [name, perSecond]));
		const first = listed.map(({ name }) => ({ name, perSecond: rates.get(name) ?? 0 }));
		return (await this.#describe(withOthers(first, matching, listedChannelsMax))).channels;
	}

	async #describe(channels: readonly BusyChannel[]) {
		const { options, history } = this.#parts;
		const answer = await options.ask(consoleQuestion, { channels: channels.map(({ name }) => name) });
		const sumOf = (kind: "subscribers" | "present", index: number) => answer.parts.reduce((sum, part) => sum + (part[kind][index] ?? 0), 0);
		return {
			answer,
			channels: channels.map(
				(channel, index): ConsoleChannel => ({
					...channel,
					subscribers: sumOf("subscribers", index),
					present: sumOf("present", index),
					history: channel.name === "" ? null : history.summary(channel.name),
				}),
			),
		};
	}
}

const busiestMax = 10;

/** At most `most` channels, without repetitions. */
function withOthers(
	first: readonly BusyChannel[],
	others: readonly { readonly name: string; readonly perSecond?: number }[],
	most: number,
) {
	const names = new Set(first.map(({ name }) => name));
	const more = others.filter(({ name }) => !names.has(name)).map(({ name, perSecond = 0 }) => ({ name, perSecond }));
	return [...first, ...more].slice(0, most);
}

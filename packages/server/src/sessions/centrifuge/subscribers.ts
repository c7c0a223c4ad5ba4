import type { Channel, Namespaces } from "@shardcast/channels";
import { type PartAnswers, presenceQuestion, presenceStatsQuestion } from "@shardcast/control";
import type { Counters } from "@shardcast/scoreboard";
import type { Hub } from "../../hub/hub.ts";
import { ChannelAudiences } from "./audience/channel-audiences.ts";
import type { DeltaEncoder } from "./audience/delta-encoder.ts";
import { JoinAudiences } from "./audience/join-audiences.ts";
import { PatternAudiences } from "./audience/pattern-audiences.ts";
import { Presence } from "./presence.ts";

/** This shard's subscriptions: audiences of channels and patterns, receivers of joins and leaves, and presence. */
export class Subscribers {
	readonly audiences = new ChannelAudiences();
	readonly patterns: PatternAudiences;
	readonly joins = new JoinAudiences();
	readonly presence = new Presence();
	/** How many subscriptions there have been, since the start. */
	subscriptionsMade = 0;
	readonly #namespaces: () => Namespaces;

	/** @param namespaces read at each use. */
	constructor(hub: Hub, namespaces: () => Namespaces) {
		this.#namespaces = namespaces;
		this.patterns = new PatternAudiences((name) => namespaces().segments(name));
		hub.add(this.audiences);
		hub.add(this.patterns);
		hub.addForJoins(this.joins);
	}

	readonly channel = (name: string): Channel => this.#namespaces().of(name);

	readonly isPattern = (channel: string): boolean => this.channel(channel).isPattern;

	/** Channels with subscribers, for the console. */
	list(search: string, most: number): ReturnType<ChannelAudiences["list"]> {
		return this.audiences.list(search, most);
	}

	/** How many clients are present in a channel, for the console. */
	present(channel: string): number {
		return this.presence.count(channel);
	}

	answers(parts: PartAnswers): void {
		parts.add(presenceQuestion, ({ channel }) => this.presence.clients(channel));
		parts.add(presenceStatsQuestion, ({ channel }) => this.presence.part(channel));
	}

	/** Called before anything is delivered: clients that have received a whole publication since the last turn get deltas from now on. */
	followDeltas(): void {
		for (const { encoder } of this.audiences.takeReady())
			for (const [subscription, session] of (encoder as DeltaEncoder).waiting!) session.followDeltas(subscription);
	}

	writeCounts(row: Pick<Counters, "set">): void {
		row.set("subscriptions", this.audiences.subscriptions + this.patterns.subscriptions);
		row.set("subscriptionsProtobuf", this.audiences.protobufSubscriptions);
	}
}

import { type Centrifuge, connectCentrifuge } from "@shardcast/testkit/centrifuge";
import { SubscriptionOracle, type Tally } from "../oracle.ts";

export interface Followed {
	readonly channel: string;
	readonly hasKafkaOffsets: boolean;
}

/** Clients of npm centrifuge, each with a recoverable subscription to each channel. */
export class Followers {
	readonly #clients: Centrifuge[] = [];
	/** By channel, one of each client. */
	readonly #oracles = new Map<string, SubscriptionOracle[]>();
	#subscribed = 0;
	readonly #wanted: number;

	constructor(url: string, count: number, channels: readonly Followed[], tally: Tally, mayForget: () => boolean) {
		this.#wanted = count * channels.length;
		for (const { channel } of channels) this.#oracles.set(channel, []);
		for (let each = 0; each < count; each++) {
			const client = connectCentrifuge(url);
			this.#clients.push(client);
			for (const { channel, hasKafkaOffsets } of channels)
				this.#follow(client, channel, new SubscriptionOracle(tally, `follower ${each} of ${channel}`, mayForget, hasKafkaOffsets));
			client.connect();
		}
	}

	get count(): number {
		return this.#clients.length;
	}

	/** All are subscribed to all, at the moment. */
	get areSubscribed(): boolean {
		return this.#subscribed === this.#wanted;
	}

	/** The lowest of the last numbers that the clients have of this channel. */
	lastOf(channel: string): number {
		return Math.min(...this.#oracles.get(channel)!.map(({ last }) => last));
	}

	/** How often clients were told that they could not recover. */
	get told(): number {
		return [...this.#oracles.values()].flat().reduce((sum, { told }) => sum + told, 0);
	}

	close(): void {
		for (const client of this.#clients) client.disconnect();
	}

	#follow(client: Centrifuge, channel: string, oracle: SubscriptionOracle): void {
		this.#oracles.get(channel)!.push(oracle);
		const subscription = client.newSubscription(channel, {
			minResubscribeDelay: 50,
			maxResubscribeDelay: 500,
			recoverable: true,
			positioned: true,
		});
		let isSubscribed = false;
		subscription.on("state", ({ newState }) => {
			const is = newState === "subscribed";
			if (is !== isSubscribed) this.#subscribed += is ? 1 : -1;
			isSubscribed = is;
		});
		subscription.on("subscribed", ({ streamPosition, wasRecovering, recovered }) =>
			oracle.subscribed({ epoch: streamPosition?.epoch ?? "", offset: streamPosition?.offset ?? 0, wasRecovering, recovered }),
		);
		subscription.on("publication", ({ offset, data }) => oracle.publication(offset ?? 0, data));
		subscription.subscribe();
	}
}

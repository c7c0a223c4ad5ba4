import { waitFor } from "@shardcast/testkit";
import { Centrifuge, type PublicationContext, type SubscribedContext } from "centrifuge";
import { WebSocket } from "ws";

/** A client of npm centrifuge that counts what it gets in one channel. */
export class Follower {
	readonly channel: string;
	readonly data: number[] = [];
	readonly offsets: number[] = [];
	readonly contexts: SubscribedContext[] = [];
	client: Centrifuge;

	constructor(url: string, channel: string) {
		this.channel = channel;
		this.client = connect(url);
		this.#listen();
	}

	/** Cuts the connection. */
	leave(): void {
		this.client.disconnect();
	}

	/** With the position that it had. */
	comeBack(url: string): void {
		const { epoch } = this.contexts.at(-1)!.streamPosition!;
		this.client = connect(url);
		this.#listen({ offset: this.offsets.at(-1)!, epoch });
	}

	async subscribed(times: number): Promise<void> {
		await waitFor(() => this.contexts.length >= times, { deadlineMs: 20_000, what: `subscription ${times} of ${this.channel}` });
	}

	async has(count: number): Promise<void> {
		await waitFor(
			() => {
				if (this.data.length < count)
					throw new Error(
						`${this.channel}: ${this.data.length} of ${count}, the last ${this.data.at(-1)}; ${JSON.stringify(this.contexts.map(({ wasRecovering, recovered, streamPosition }) => ({ wasRecovering, recovered, ...streamPosition })))}`,
					);
				return true;
			},
			{ deadlineMs: 20_000, what: "all records" },
		);
	}

	#listen(since?: { offset: number; epoch: string }): void {
		const subscription = this.client.newSubscription(this.channel, since === undefined ? {} : { since });
		subscription.on("publication", ({ data, offset }: PublicationContext) => {
			this.data.push(data as number);
			this.offsets.push(offset!);
		});
		subscription.on("subscribed", (context) => this.contexts.push(context));
		subscription.subscribe();
	}
}

function connect(url: string): Centrifuge {
	const client = new Centrifuge(`${url}/connection/websocket`, {
		websocket: WebSocket,
		minReconnectDelay: 50,
		maxReconnectDelay: 300,
		// As long as the shard may read from Kafka: the default of five seconds is short for a busy machine.
		timeout: 30_000,
	});
	client.connect();
	return client;
}

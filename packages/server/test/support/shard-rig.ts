import { MemoryBus, type MessageDetails } from "@shardcast/bus";
import type { Config } from "@shardcast/config";
import { channelList, type Publishing, RecordKind } from "@shardcast/wire";
import { FanOut } from "../../src/delivery/fan-out.ts";
import { CheckedSink } from "../../src/delivery/incoming/checked-sink.ts";
import { Handlers } from "../../src/delivery/incoming/handlers.ts";
import { HeldFrames } from "../../src/delivery/incoming/held-frames.ts";
import { Incoming } from "../../src/delivery/incoming/incoming.ts";
import { ChannelRouter } from "../../src/delivery/publishing/channel-router.ts";
import { type HeldPublication, HistoryPublisher } from "../../src/delivery/publishing/history-publisher.ts";
import { Publisher } from "../../src/delivery/publishing/publisher.ts";
import { DirectMessages } from "../../src/sessions/direct-messages.ts";
import { SubscriptionEnds } from "../../src/sessions/subscription-ends.ts";
import { CentrifugeRig } from "./centrifuge-rig.ts";

/** The way of a message through one shard, from the router to clients of the protocol: bus and logs are real, sockets are in memory. */
export class ShardRig extends CentrifugeRig {
	readonly router: ChannelRouter;
	readonly fanOut: FanOut;
	readonly direct = new DirectMessages({ ofUser: (user) => this.endpoint.connected.of(user), all: () => this.sessions.snapshot() });
	readonly #bus = new MemoryBus({ members: 1, capacityBytes: 1_048_576 }).link(0);

	constructor(config: Partial<Config> = {}) {
		super(config);
		const limits = { bytesMax: 1e6, clientBytesMax: 1e6 };
		const plain = new Publisher({
			ring: this.#bus,
			held: new HeldFrames(limits),
			counters: this.row,
			onCommit: () => {},
			hurry: () => {},
			onUrgent: () => {},
		});
		const held = new HeldFrames<HeldPublication>(limits);
		const history = new HistoryPublisher({ log: this.log, held, plain, counters: this.row, life: 1, onHeld: () => {} });
		const limitsOf = (channel: string) => this.namespaces.of(channel).history;
		this.router = new ChannelRouter({ plain, history, limitsOf });
		const handlers = new Handlers({
			counters: this.row,
			payloadBytesMax: 65_536,
			deadlineMs: 1000,
			limits: { bytesMax: 1e6, senderBytesMax: 1e6, senderMessagesMax: 1000 },
			onError: () => {},
		});
		this.incoming = new Incoming({ publisher: new CheckedSink(this.router, () => this.namespaces), announcer: plain, handlers });
		const ends = new SubscriptionEnds({ sessions: this.sessions, subscribers: this.endpoint.subscribers });
		this.fanOut = new FanOut({
			member: 0,
			life: 1,
			hub: this.hub,
			senders: this.senders,
			topics: this.topics,
			logged: this.reader,
			counters: this.row,
			console: { watching: false, onRecord: () => {} },
			onClientFrames: () => {},
			onGaps: (channels) => ends.end(channels),
			direct: (user, payload) => this.direct.deliver(user, payload),
		});
	}

	/** Into the log of the channel, or onto the bus; not delivered yet. */
	publish(channel: string, payload: string | Uint8Array, details?: MessageDetails): Publishing {
		const kind = typeof payload === "string" ? RecordKind.text : RecordKind.binary;
		return this.router.publish(kind, 0, channelList([channel]), Buffer.from(payload as string), details);
	}

	/** A turn of the flush engine: clients get all that was published. */
	deliver(): void {
		this.endpoint.subscribers.followDeltas();
		while (this.#bus.read(1000, this.fanOut.deliver) + this.reader.read(1000, this.fanOut.deliverLogged) > 0);
		this.fanOut.endGaps();
	}

	/** Publishes and delivers. */
	send(channel: string, payload: string | Uint8Array, details?: MessageDetails): void {
		void this.publish(channel, payload, details);
		this.deliver();
	}
}

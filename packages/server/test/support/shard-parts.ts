import { MemoryBus } from "@shardcast/bus";
import { ChannelLog } from "@shardcast/channel-log";
import { defaultConfig } from "@shardcast/config";
import { PartAnswers } from "@shardcast/control";
import { AddressTable, RateTable } from "@shardcast/limits";
import { Scoreboard } from "@shardcast/scoreboard";
import { silentLog } from "@shardcast/telemetry";
import { EventWriter, eventRingInMemory } from "@shardcast/webhooks";
import { everybody, monotonicMs, RecordKind, recordBytes, writeRecordHead } from "@shardcast/wire";
import { Console } from "../../src/console/console.ts";
import { Delivery } from "../../src/delivery/delivery.ts";
import { DeliveryWatch } from "../../src/delivery/delivery-watch.ts";
import { Inbound } from "../../src/delivery/incoming/inbound.ts";
import { ApiAccess } from "../../src/http/api-access.ts";
import { PublishApi } from "../../src/http/publish-api.ts";
import { ShardChannels } from "../../src/lifecycle/assembly/shard-channels.ts";
import { ShardClients } from "../../src/lifecycle/assembly/shard-clients.ts";
import { ShardEndpoints } from "../../src/lifecycle/assembly/shard-endpoints.ts";
import { LiveConfig } from "../../src/lifecycle/live-config.ts";
import type { ShardOptions } from "../../src/lifecycle/shard-options.ts";
import type { ConnectionCheck } from "../../src/limits/connection-check.ts";
import { PublishRate } from "../../src/limits/publish-rate.ts";
import type { CentrifugeEndpoint } from "../../src/sessions/centrifuge/centrifuge-endpoint.ts";
import type { Clients } from "../../src/sessions/clients.ts";
import type { RawEndpoint } from "../../src/sessions/raw/raw-endpoint.ts";
import { FakeTopics, FakeTransport } from "./fake-transport.ts";
import { rawRequest } from "./raw-request.ts";

/** The features of a shard without sockets, on a bus with another member that reads only on command. */
export class ShardParts {
	readonly #bus = new MemoryBus({ members: 2, capacityBytes: 65_536 });
	readonly #board = Scoreboard.inMemory(2);
	readonly row = this.#board.row(0);
	readonly other = this.#bus.link(1);
	readonly history = ChannelLog.inMemory({ memoryBytes: 1_048_576 });
	/** Opens the table of addresses; a test may make it fail. */
	openAddresses = () => AddressTable.inMemory(100, 2);
	readonly options: ShardOptions;
	readonly live: LiveConfig;
	readonly topics = new FakeTopics();
	readonly check: ConnectionCheck;
	readonly channels: ShardChannels;
	readonly clients: Clients;
	readonly inbound: Inbound;
	readonly publish: PublishApi;
	readonly rate: PublishRate;
	readonly raw: RawEndpoint;
	readonly centrifuge: CentrifugeEndpoint;
	readonly console: Console;
	readonly delivery: Delivery;

	constructor(config = defaultConfig({ maxBufferedBytes: FakeTransport.bufferedBytesMax })) {
		this.options = {
			config,
			board: this.#board,
			row: this.row,
			connectionsFit: 100,
			bus: this.#bus.link(0),
			address: null,
			certificates: [],
			handoff: null,
			isProxy: null,
			rates: RateTable.inMemory(),
			openAddresses: () => this.openAddresses(),
			openClientEvents: () => new EventWriter(eventRingInMemory()),
			openHistory: () => this.history,
			ingest: null,
			log: silentLog(),
			sample: () => ({ cpuMs: 1, residentBytes: 1, loopLagP99Ms: 0 }),
			ask: () => Promise.reject(new Error("nobody answers")),
			parts: new PartAnswers(),
			metrics: { addReading: () => {} },
		};
		this.live = new LiveConfig(config);
		const { options, live } = this;
		this.row.connectionsGiven = 100;
		const group = new ShardClients({
			options,
			live,
			delivered: () => Promise.resolve(),
			openAtStart: () => Number.POSITIVE_INFINITY,
		});
		this.check = group.check;
		this.clients = group.clients;
		const onCommit = () => this.delivery.engine.committed();
		const hurry = () => this.delivery.engine.hurry();
		this.channels = new ShardChannels({ options, live, onCommit, onUrgent: hurry, subscribers: () => endpoints });
		const { channels } = this;
		const { history, reader } = channels;
		this.inbound = new Inbound({ options, live, history, onCommit, hurry, onUrgent: hurry });
		const { incoming } = this.inbound;
		const endpoints = new ShardEndpoints({ options, live, clients: group, channels, incoming, tracer: null, onCommit });
		const { hub, senders } = endpoints;
		this.raw = endpoints.raw;
		this.centrifuge = endpoints.centrifuge;
		this.rate = new PublishRate(options.rates, config.messageRate);
		this.publish = new PublishApi({
			incoming,
			rate: this.rate,
			counters: this.row,
			payloadBytesMax: config.maxPayloadBytes,
			access: new ApiAccess(live),
			nowMs: () => 0,
		});
		this.console = new Console({ options, live, hub, check: this.check, channels: this.centrifuge.subscribers, history });
		this.delivery = new Delivery({
			options,
			live,
			hub,
			logged: reader,
			senders,
			topics: this.topics,
			console: this.console.feed,
			onClientFrames: () => {},
			direct: () => 0,
			onGaps: (channels) => endpoints.endSubscriptions(channels),
			watch: new DeliveryWatch({ member: 0, tracer: null, slowMs: () => 0, log: silentLog(), slowClients: () => 0 }),
			pacing: this.clients.pacing,
			held: () => this.inbound.held,
			beforeTurn: () => this.inbound.retry(),
		});
	}

	otherPublishes(text: string): void {
		const { other } = this;
		const payload = Buffer.from(text);
		const at = other.claim(recordBytes(everybody, payload.length));
		other.u8.set(payload, writeRecordHead(other.view, other.u8, at, RecordKind.text, 0, monotonicMs(), everybody));
		other.commit();
		other.ringWaiters();
	}

	client(): FakeTransport {
		const outcome = this.raw.connect(rawRequest(""));
		if (!("session" in outcome)) throw new Error("not let in at once");
		const transport = new FakeTransport(this.topics, outcome.session);
		outcome.session.opened(transport);
		return transport;
	}
}

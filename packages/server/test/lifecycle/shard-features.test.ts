import { setImmediate as nextTurn } from "node:timers/promises";
import { MemoryBus, type RecordLoop, type RecordSource } from "@shardcast/bus";
import { ChannelLog } from "@shardcast/channel-log";
import { defaultConfig } from "@shardcast/config";
import { PartAnswers } from "@shardcast/control";
import type { HttpRequest } from "@shardcast/http";
import type { ShardIngest } from "@shardcast/kafka";
import { AddressTable, RateTable } from "@shardcast/limits";
import { Scoreboard } from "@shardcast/scoreboard";
import { silentLog } from "@shardcast/telemetry";
import { everybody, monotonicMs, RecordKind, recordBytes, writeRecordHead } from "@shardcast/wire";
import { describe } from "vitest";
import { Console } from "../../src/console/console.ts";
import { type ConsoleViewer, noWatch } from "../../src/console/console-feed.ts";
import { Delivery } from "../../src/delivery/delivery.ts";
import { Inbound } from "../../src/delivery/incoming/inbound.ts";
import { PublishApi } from "../../src/http/publish-api.ts";
import { Hub } from "../../src/hub/hub.ts";
import { inTime } from "../../src/lifecycle/in-time.ts";
import { kafkaFeature } from "../../src/lifecycle/kafka-feature.ts";
import { LiveConfig } from "../../src/lifecycle/live-config.ts";
import { ShardHeartbeat } from "../../src/lifecycle/shard-heartbeat.ts";
import type { ShardOptions } from "../../src/lifecycle/shard-options.ts";
import { ConnectionCheck } from "../../src/limits/connection-check.ts";
import { PublishRate } from "../../src/limits/publish-rate.ts";
import { Clients } from "../../src/sessions/clients.ts";
import { RawEndpoint } from "../../src/sessions/raw/raw-endpoint.ts";
import { featureContract } from "../contracts/feature-contract.ts";
import { CentrifugeRig } from "../support/centrifuge-rig.ts";
import { FakeTopics, FakeTransport } from "../support/fake-transport.ts";
import { rawRequest } from "../support/raw-request.ts";

/** The features of a shard without sockets, on a bus with another member that reads only on command. */
class Parts {
	readonly #config = defaultConfig({ maxBufferedBytes: FakeTransport.bufferedBytesMax });
	readonly #bus = new MemoryBus({ members: 2, capacityBytes: 65_536 });
	readonly #board = Scoreboard.inMemory(2);
	readonly row = this.#board.row(0);
	readonly other = this.#bus.link(1);
	readonly history = ChannelLog.inMemory({ memoryBytes: 1_048_576 });
	readonly options: ShardOptions = {
		config: this.#config,
		board: this.#board,
		row: this.row,
		connectionsFit: 100,
		bus: this.#bus.link(0),
		address: null,
		handoff: null,
		isProxy: null,
		rates: RateTable.inMemory(),
		openAddresses: () => AddressTable.inMemory(100, 2),
		openHistory: () => this.history,
		ingest: null,
		log: silentLog(),
		sample: () => ({ cpuMs: 1, residentBytes: 1, loopLagP99Ms: 0 }),
		ask: () => Promise.reject(new Error("nobody answers")),
		parts: new PartAnswers(),
		metrics: { addReading: () => {} },
	};
	readonly live = new LiveConfig(this.#config);
	readonly topics = new FakeTopics();
	readonly check: ConnectionCheck;
	readonly clients: Clients;
	readonly inbound: Inbound;
	readonly raw: RawEndpoint;
	readonly console: Console;
	readonly delivery: Delivery;

	constructor() {
		const { options, live } = this;
		this.row.connectionsGiven = 100;
		this.check = new ConnectionCheck({ options, live, clients: () => this.clients.sessions.all });
		this.clients = new Clients({
			options,
			live,
			check: this.check,
			delivered: () => Promise.resolve(),
			openAtStart: () => Number.POSITIVE_INFINITY,
		});
		this.inbound = new Inbound({
			options,
			live,
			history: this.history,
			onCommit: () => this.delivery.engine.committed(),
			onFull: () => this.delivery.engine.hurry(),
		});
		const { incoming } = this.inbound;
		const hub = new Hub();
		this.raw = new RawEndpoint({ options, live, sessions: this.clients.sessions, hub, incoming, check: this.check });
		const { senders } = this.raw;
		this.console = new Console({ options, live, hub, check: this.check });
		this.delivery = new Delivery({
			options,
			live,
			hub,
			logged: this.history.reader(0),
			senders,
			topics: this.topics,
			console: this.console.feed,
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
		if ("refused" in outcome) throw new Error(`refused with ${outcome.refused.status}`);
		const transport = new FakeTransport(this.topics, outcome.session);
		outcome.session.opened(transport);
		return transport;
	}
}

describe("the shard's heartbeat", () => {
	featureContract(() => {
		const { row, options } = new Parts();
		const { bus, sample } = options;
		const feature = new ShardHeartbeat({ counters: row, bus, onOverslept: () => {}, sample, onSecond: () => {} });
		return { feature, work: null, held: () => 0, isOpen: null, runs: null };
	});
});

describe("admission", () => {
	featureContract(() => {
		const { check } = new Parts();
		const isOpen = () => check.judge(rawRequest("").head) === null;
		return { feature: check, work: null, held: () => Number(isOpen()), isOpen, runs: null };
	});
});

describe("the publish API", () => {
	featureContract(() => {
		const { inbound, row, options } = new Parts();
		const rate = new PublishRate(options.rates, 0);
		const feature = new PublishApi({
			incoming: inbound.incoming,
			rate,
			counters: row,
			payloadBytesMax: 100,
			isKey: null,
			nowMs: () => 0,
		});
		const request: HttpRequest = { method: "POST", path: "/api/publish", query: "", header: () => "", address: "" };
		const isOpen = () => typeof feature.route.begin(request) === "function";
		return { feature, work: null, held: () => 0, isOpen, runs: null };
	});
});

describe("messages on their way in", () => {
	featureContract(() => {
		const { inbound } = new Parts();
		let finish = () => {};
		inbound.handlers.use(async (_message, next) => {
			await new Promise<void>((resolve) => {
				finish = resolve;
			});
			await next();
		});
		const begin = () => void inbound.incoming.publish(RecordKind.text, everybody, Buffer.from("x"), { address: "" });
		return { feature: inbound, work: { begin, finish: () => finish() }, held: () => inbound.held, isOpen: null, runs: null };
	});
});

describe("delivery", () => {
	featureContract(() => {
		const parts = new Parts();
		const { delivery, inbound, other } = parts;
		/** Until the ring is full, and one message waits. */
		const begin = () => {
			const { peer } = parts.client();
			while (inbound.held === 0) peer.send(new Uint8Array(1000));
		};
		const finish = () => void other.read(1000, () => {});
		/** A record of another shard reaches a client here. */
		const runs = async () => {
			const client = parts.client();
			parts.otherPublishes("from elsewhere");
			for (let turn = 0; turn < 100 && client.peer.received().length === 0; turn++) await nextTurn();
			return client.peer.received().length > 0;
		};
		return { feature: delivery, work: { begin, finish }, held: () => 0, isOpen: null, runs };
	});
});

describe("the console", () => {
	featureContract(() => {
		const { console } = new Parts();
		const viewer: ConsoleViewer = { ...noWatch, send: () => {}, getBufferedAmount: () => 0, end: () => console.feed.remove(viewer) };
		console.feed.add(viewer);
		const isOpen = () => console.feed.watching;
		return { feature: console, work: null, held: () => Number(isOpen()), isOpen, runs: null };
	});
});

describe("the raw endpoint", () => {
	featureContract(() => {
		const { raw } = new Parts();
		return { feature: raw, work: null, held: () => raw.channelSets.count, isOpen: null, runs: null };
	});
});

describe("the endpoint of the Centrifuge protocol", () => {
	featureContract(() => {
		const rig = new CentrifugeRig();
		return { feature: rig.endpoint, work: null, held: () => rig.kept, isOpen: null, runs: null };
	});
});

describe("the clients", () => {
	featureContract(() => {
		const parts = new Parts();
		const { clients } = parts;
		let transport: FakeTransport;
		/** A client that does not read what it was sent. */
		const begin = () => {
			transport = parts.client();
			transport.peer.pause();
			transport.send("unread", false);
		};
		const work = { begin, finish: () => transport.peer.resume() };
		return { feature: clients, work, held: () => clients.sessions.count, isOpen: null, runs: null };
	});
});

describe("Kafka in the shard", () => {
	featureContract(() => {
		let finish = () => {};
		let drained: Promise<void> = Promise.resolve();
		const sources = new Set<RecordSource>();
		const loop: RecordLoop = {
			addSource: (source) => void sources.add(source),
			removeSource: (source) => void sources.delete(source),
			committed: () => {},
			wake: () => {},
		};
		const source: RecordSource = { read: () => 0, hasRecords: () => false, fill: () => 0, sleep: () => true };
		let isOn: RecordLoop | null = null;
		const ingest = {
			start: async (given: RecordLoop) => {
				isOn = given;
				isOn.addSource(source);
			},
			measures: () => {},
			serving: () => {},
			drain: (leftMs: number) => inTime(drained, leftMs),
			stop: async () => isOn?.removeSource(source),
		} as unknown as ShardIngest;
		/** Records that are not delivered in time are for the next owner of their partitions. */
		const begin = () => {
			drained = new Promise((resolve) => {
				finish = resolve;
			});
		};
		return {
			feature: kafkaFeature(ingest, loop),
			work: { begin, finish: () => finish(), isKept: true },
			held: () => sources.size,
			isOpen: null,
			runs: () => sources.has(source),
		};
	});
});

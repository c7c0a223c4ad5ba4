import { MemoryBus } from "@shardcast/bus";
import { ChannelLog, createLogBuffers, openLogBuffers } from "@shardcast/channel-log";
import { Namespaces } from "@shardcast/channels";
import { type Config, defaultConfig } from "@shardcast/config";
import {
	answerInventory,
	answerPresence,
	answerRevocations,
	answerUsers,
	PartAnswers,
	Questions,
	type RevocationReading,
	RevocationStore,
} from "@shardcast/control";
import type { KafkaHistory } from "@shardcast/kafka";
import { AddressTable, RateTable } from "@shardcast/limits";
import { silentLog } from "@shardcast/telemetry";
import { EventWriter, eventRingInMemory } from "@shardcast/webhooks";
import {
	channelList,
	decodePublisherInfo,
	noExtensions,
	type Publishing,
	publishAccepted,
	RecordKind,
	RecordType,
	recordBytes,
	writeRecord,
} from "@shardcast/wire";
import { expect, vi } from "vitest";
import { FanOut } from "../../src/delivery/fan-out.ts";
import type { Incoming } from "../../src/delivery/incoming/incoming.ts";
import { DurableChannels } from "../../src/durable/durable-channels.ts";
import { Hub } from "../../src/hub/hub.ts";
import { CentrifugeEndpoint } from "../../src/sessions/centrifuge/centrifuge-endpoint.ts";
import type { CentrifugeSession } from "../../src/sessions/centrifuge/centrifuge-session.ts";
import type { ClientSession } from "../../src/sessions/client-session.ts";
import { SenderIds } from "../../src/sessions/sender-ids.ts";
import { ClientEvents } from "../../src/webhooks/client-events.ts";
import { ClientList } from "./client-list.ts";
import { FakeTopics, FakeTransport } from "./fake-transport.ts";
import { rawRequest } from "./raw-request.ts";

/** Small, so that a few hundred events fill it. */
const eventRingBytes = 16_384;

/** An endpoint of the Centrifuge protocol with sockets in memory. */
export class CentrifugeRig extends ClientList {
	/** What its clock shows. */
	seconds = 1000;
	readonly #live: { config: Config; namespaces: Namespaces };
	readonly senders = new SenderIds<ClientSession>();
	readonly topics = new FakeTopics();
	readonly hub = new Hub();
	readonly endpoint: CentrifugeEndpoint;
	readonly events: ClientEvents;
	/** What the collector of webhooks reads. */
	readonly eventRing = eventRingInMemory(eventRingBytes);
	/** One shard. */
	readonly questions: Questions;
	readonly log = new ChannelLog(openLogBuffers(createLogBuffers({ memoryBytes: 1_048_576 })), { slot: 0, incarnation: 1 });
	readonly reader = this.log.reader(0);
	/** With `durableStorePath`. */
	readonly durable: DurableChannels | null;
	/** What takes the clients' publications; null = they are only noted. */
	incoming: Pick<Incoming, "fromClient"> | null = null;
	/** Counts the connections of users; another slot stands for another shard. */
	readonly table = AddressTable.inMemory(100, 2);
	readonly rates = RateTable.inMemory();
	/** Whether subscriptions are refused. */
	isCutOff = false;
	/** What clients have published. */
	readonly published: { readonly channel: string; readonly payload: string; readonly info: object }[] = [];
	/** Joins and leaves, such as "join a ann". */
	readonly announced: string[] = [];
	/** What comes of the next publishes. */
	result: Publishing = publishAccepted;
	readonly #later: (() => void)[] = [];
	readonly #fanOut: FanOut;

	/** @param commandTurnMs Infinity = a slow machine does not make commands wait. */
	constructor(
		values: Partial<Config> = {},
		kafka: KafkaHistory | null = null,
		commandTurnMs = Number.POSITIVE_INFINITY,
		unreadBytesMax?: number,
	) {
		super();
		const { row, check } = this;
		this.onClient = {
			// As `LiveConfig` does it.
			opened: (session) => {
				session.bufferedBytesMax = FakeTransport.bufferedBytesMax;
				this.events.opened(session);
			},
			closed: (session, code) => this.events.closed(session, code),
		};
		const config = defaultConfig({ clientInsecure: true, ...values });
		this.#live = { config, namespaces: new Namespaces(config) };
		const answers = new PartAnswers();
		this.questions = new Questions({ processes: () => [], own: { name: "shard-0", answers } });
		answerPresence(this.questions);
		answerUsers(this.questions);
		answerInventory(this.questions);
		const kept = new RevocationStore({ folder: "", log: silentLog() });
		answerRevocations(this.questions, () => kept);
		this.durable = DurableChannels.open({ live: this.#live, history: this.log, counters: row, row, life: 1, log: silentLog() });
		this.events = new ClientEvents(
			{
				...{ config, counters: row, log: silentLog() },
				open: () => new EventWriter(this.eventRing),
				now: () => this.seconds * 1000,
			},
			() => this.sessions.all,
		);
		this.events.start();
		this.endpoint = new CentrifugeEndpoint({
			events: this.events,
			sessions: this.sessions,
			hub: this.hub,
			senders: this.senders,
			incoming: {
				fromClient: (...args) => {
					if (this.incoming !== null) return this.incoming.fromClient(...args);
					const [, , channels, payload, details] = args;
					this.published.push({ channel: channels.names.join(), payload: Buffer.from(payload).toString(), info: infoOf(details!.info!) });
					return this.result;
				},
				announce: (type, channel, info) => {
					this.announced.push(`${type === RecordType.join ? "join" : "leave"} ${channel} ${decodePublisherInfo(info).user}`);
					this.#deliverAnnouncement(type, channel, info);
					return true;
				},
			},
			check: { ...check, isCutOff: () => this.isCutOff },
			history: this.log,
			reader: this.reader,
			durable: this.durable,
			histories: this.durable ?? this.log,
			kafka,
			options: {
				config,
				row,
				board: this.board,
				bus: new MemoryBus({ members: 1, capacityBytes: 65_536 }).link(0),
				log: silentLog(),
				openAddresses: () => this.table,
				rates: this.rates,
				ask: (question, request) => this.questions.ask(question, request),
				commandTurnMs,
				unreadBytesMax,
			},
			onCommit: () => {},
			live: this.#live,
			now: () => this.seconds,
		});
		this.endpoint.answers(answers);
		this.#fanOut = new FanOut({
			member: 0,
			life: 1,
			hub: this.hub,
			senders: { find: () => undefined },
			topics: this.topics,
			logged: null,
			counters: row,
			console: { watching: false, onRecord: () => {} },
			onClientFrames: () => {},
			onGaps: () => {},
			direct: () => 0,
		});
	}

	get config(): Config {
		return this.#live.config;
	}

	get namespaces(): Namespaces {
		return this.#live.namespaces;
	}

	/** As the shard does it. */
	reload(settings: Partial<Config>): void {
		this.use({ ...this.config, ...settings });
	}

	/** The same for all options, which are not copied. */
	use(config: Config): void {
		this.#live.config = config;
		this.#live.namespaces = new Namespaces(config);
		this.endpoint.reload(config)();
		this.events.reload(config)();
	}

	session(query = "", headers: Readonly<Record<string, string>> = {}): CentrifugeSession {
		const outcome = this.endpoint.connect(rawRequest(query, headers));
		if ("refused" in outcome) throw new Error(String(outcome.refused.body));
		return outcome.session as CentrifugeSession;
	}

	/** A client whose WebSocket is open. */
	open(query = "", headers: Readonly<Record<string, string>> = {}): CentrifugeClient {
		const session = this.session(query, headers);
		const transport = new FakeTransport(this.topics, session);
		session.opened(transport);
		return new CentrifugeClient(session, transport);
	}

	/** A client that only listens, and has not said yet to what. */
	listening(): CentrifugeClient {
		const outcome = this.endpoint.endpoints[1]!.connect(rawRequest(""));
		if (!("session" in outcome)) throw new Error("the endpoint refused the client");
		const session = outcome.session as CentrifugeSession;
		const transport = new FakeTransport(this.topics, session);
		session.opened(transport);
		return new CentrifugeClient(session, transport);
	}

	/** A client that has connected. */
	connected(query = ""): CentrifugeClient {
		const client = this.open(query);
		client.send({ connect: {}, id: 1 });
		client.replies();
		return client;
	}

	/** As a record of the bus, which another turn of the loop delivers. */
	#deliverAnnouncement(type: RecordType, channel: string, info: Uint8Array): void {
		const channels = channelList([channel]);
		const u8 = new Uint8Array(recordBytes(channels, info.length));
		const view = new DataView(u8.buffer);
		const fields = { type, kind: RecordKind.binary, targetSlot: null, sender: 0, senderShard: 0, publishedMs: 0 };
		u8.set(info, writeRecord(view, u8, 0, { ...fields, channels, extensions: noExtensions }));
		this.#later.push(() => this.#fanOut.deliver(0, u8, view, 0, u8.length));
	}

	/** Delivers the joins and leaves so far. */
	deliverJoins(): void {
		for (const callback of this.#later.splice(0)) callback();
	}

	/** What revocations have ended, by kind. */
	get ended(): RevocationReading["ended"] {
		let ended: RevocationReading["ended"] | undefined;
		this.endpoint.revocations.measures({
			addReading: ((_metrics: unknown, read: () => RevocationReading) => {
				ended = read().ended;
			}) as never,
		});
		return ended!;
	}

	/** Whatever is still kept of clients: 0 when all are gone. */
	get kept(): number {
		const { subscribers, heartbeats, rate, emulation, connected, calls } = this.endpoint;
		const { audiences, joins, presence } = subscribers;
		return (
			joins.channelCount +
			joins.subscriptions +
			presence.channelCount +
			audiences.channelCount +
			audiences.subscriptions +
			heartbeats.count +
			rate.count +
			connected.count +
			calls.count +
			emulation.sessionCount +
			this.admitted
		);
	}
}

/** Who published something, its JSON parsed. */
function infoOf(info: Uint8Array): object {
	const parsed = Object.entries(decodePublisherInfo(info)).map(([key, value]) => [
		key,
		typeof value === "string" ? value : JSON.parse(Buffer.from(value).toString()),
	]);
	return Object.fromEntries(parsed);
}

export class CentrifugeClient {
	readonly session: CentrifugeSession;
	readonly transport: FakeTransport;

	constructor(session: CentrifugeSession, transport: FakeTransport) {
		this.session = session;
		this.transport = transport;
	}

	/** Commands, each a line, in one frame; strings as they are. */
	send(...commands: readonly (object | string)[]): void {
		this.transport.peer.send(commands.map((command) => (typeof command === "string" ? command : JSON.stringify(command))).join("\n"));
	}

	/** Frames since the last call, each with its messages. */
	frames(): unknown[][] {
		return this.transport.peer
			.received()
			.splice(0)
			.map((frame) => frame.split("\n").map((line) => JSON.parse(line) as unknown));
	}

	/** Messages since the last call. */
	replies(): unknown[] {
		return this.frames().flat();
	}

	/** All commands so far have been carried out. */
	async settled(): Promise<void> {
		await vi.waitFor(() => expect(this.session.backlog).toBeNull(), { timeout: 8_000, interval: 1 });
	}

	get ended(): Promise<{ readonly code: number; readonly reason: string }> {
		return this.transport.peer.ended;
	}
}

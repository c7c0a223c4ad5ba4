import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { RecordLoop, RecordSource } from "@shardcast/bus";
import { Namespaces } from "@shardcast/channels";
import { defaultConfig } from "@shardcast/config";
import type { HttpRequest } from "@shardcast/http";
import type { ShardIngest } from "@shardcast/kafka";
import type { Redis } from "@shardcast/redis";
import { Role } from "@shardcast/scoreboard";
import { silentLog } from "@shardcast/telemetry";
import { EventWriter, eventRingInMemory } from "@shardcast/webhooks";
import { everybody, type PublishResult, publishAccepted, RecordKind } from "@shardcast/wire";
import { afterAll, describe, expect, it, vi } from "vitest";
import { type ConsoleViewer, nothingWatched } from "../../src/console/console-feed.ts";
import { DurableChannels } from "../../src/durable/durable-channels.ts";
import { kafkaFeature } from "../../src/lifecycle/kafka-feature.ts";
import { ShardHeartbeat } from "../../src/lifecycle/shard-heartbeat.ts";
import { withinDeadline } from "../../src/lifecycle/within-deadline.ts";
import { outboxFeature } from "../../src/postgres/outbox-feature.ts";
import { RedisChannels } from "../../src/redis/redis-channels.ts";
import { RedisMessages } from "../../src/redis/redis-messages.ts";
import { ClientEvents } from "../../src/webhooks/client-events.ts";
import { featureContract } from "../contracts/feature-contract.ts";
import { CentrifugeRig } from "../support/centrifuge-rig.ts";
import type { FakeTransport } from "../support/fake-transport.ts";
import { rawRequest } from "../support/raw-request.ts";
import { serverApi } from "../support/server-api.ts";
import { ShardParts } from "../support/shard-parts.ts";

describe("the shard's heartbeat", () => {
	featureContract(() => {
		const { row, options } = new ShardParts();
		const { bus, sample } = options;
		const feature = new ShardHeartbeat({ counters: row, bus, onOverslept: () => {}, sample, onSecond: () => {} });
		return { feature, work: null, held: () => 0, isOpen: null, runs: null };
	});

	it("tells of each beat, which the clock of those who wait for clients needs", () => {
		const { row, options } = new ShardParts();
		const { bus, sample } = options;
		let beats = 0;
		const feature = new ShardHeartbeat({
			counters: row,
			bus,
			onOverslept: () => {},
			sample,
			onBeat: () => void beats++,
			onSecond: () => {},
		});
		vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
		try {
			feature.start();
			vi.advanceTimersByTime(1000);
			expect(beats).toBe(6);
		} finally {
			feature.stop();
			vi.useRealTimers();
		}
	});
});

describe("admission", () => {
	featureContract(() => {
		const { check } = new ShardParts();
		const isOpen = () => check.judge(rawRequest("").head) === null;
		return { feature: check, work: null, held: () => Number(isOpen()), isOpen, runs: null };
	});
});

describe("the publish API", () => {
	featureContract(() => {
		const { publish: feature } = new ShardParts();
		const request: HttpRequest = { method: "POST", path: "/api/publish", query: "", header: () => "", address: "" };
		const isOpen = () => typeof feature.route.begin(request) === "function";
		return { feature, work: null, held: () => 0, isOpen, runs: null };
	});
});

describe("the server API", () => {
	featureContract(() => {
		const { api } = serverApi();
		const route = api.routes.find(({ path }) => path === "/api/info")!;
		const header = (name: string) => (name === "x-api-key" ? "a-secret-key" : "");
		const request: HttpRequest = { method: "POST", path: "/api/info", query: "", header, address: "" };
		const isOpen = () => route.kind === "body" && typeof route.begin(request) === "function";
		// The listener waits for requests in progress.
		return { feature: api, work: null, held: () => 0, isOpen, runs: null };
	});
});

describe("messages that backends publish to Redis", () => {
	featureContract(() => {
		let finish = () => {};
		const published = new Promise<PublishResult>((resolve) => {
			finish = () => resolve(publishAccepted);
		});
		const feature = new RedisMessages({
			incoming: { publish: () => published, direct: () => publishAccepted },
			counters: { add: () => {} },
			payloadBytesMax: 100,
			nowMs: () => 0,
			isShared: () => false,
			bytesMax: 1000,
			log: { warn: () => {} },
		});
		const begin = () => feature.take(Buffer.from('{"method":"publish","params":{"channel":"news","data":1}}'));
		return { feature, work: { begin, finish: () => finish() }, held: () => 0, isOpen: null, runs: null };
	});
});

describe("channels that Redis orders", () => {
	featureContract(() => {
		const { options, history, live } = new ShardParts();
		// As in `ChannelLog.inMemory`.
		options.row.incarnation = 1;
		const subscribed = new Set<string>();
		let isClosed = false;
		const client = {
			state: "ready",
			onRestored: () => () => {},
			subscribe: async (topic: string) => void subscribed.add(topic),
			unsubscribe: async (topic: string) => void subscribed.delete(topic),
			send: async () => null,
			run: async () => null,
			close: () => {
				isClosed = true;
				subscribed.clear();
			},
		} as never as Redis;
		const feature = new RedisChannels({
			redis: { client, prefix: "", trustsReplicas: false, publishWaitMs: 100, compression: { method: "none", bytesMin: 0 } },
			...{ publicationBytesMax: 1000, live, history, isKafkas: false, others: history },
			...{ board: { members: () => [] }, row: options.row, life: 1, bus: options.bus, onCommit: () => {}, onUrgent: () => {} },
			listeners: { want: () => false, version: () => 0 },
			subscribed: () => [],
		});
		return { feature, work: null, held: () => subscribed.size, isOpen: null, runs: () => !isClosed && subscribed.size > 0 };
	});
});

describe("the outbox in PostgreSQL", () => {
	featureContract(() => {
		const { options, inbound } = new ShardParts();
		/** Another shard reads, so this one connects to nothing. */
		const board = { members: () => [{ role: Role.shard, slot: -1 }] } as never;
		const config = defaultConfig({ postgresAddress: "postgres://app:secret@127.0.0.1:1/app" });
		const feature = outboxFeature({ options: { ...options, config, board }, incoming: inbound.incoming, payloadBytesMax: 1000 })!;
		return { feature, work: null, held: () => 0, isOpen: null, runs: null };
	});
});

describe("durable channels", () => {
	const folder = mkdtempSync(join(tmpdir(), "shardcast-durable-"));
	afterAll(() => rmSync(folder, { recursive: true, force: true }));
	let stores = 0;
	featureContract(() => {
		const { row, history } = new ShardParts();
		const config = defaultConfig({ durableStorePath: join(folder, `${++stores}`) });
		const live = { config, namespaces: new Namespaces(config) };
		const feature = DurableChannels.open({ live, history, counters: row, row, life: 1, log: silentLog() })!;
		return { feature, work: null, held: () => 0, isOpen: null, runs: null };
	});
});

describe("events for webhooks", () => {
	featureContract(() => {
		const config = defaultConfig({ webhooks: [{ name: "all", events: [], namespaces: [] }] as never });
		const open = () => new EventWriter(eventRingInMemory());
		const feature = new ClientEvents({ config, open, counters: { add: () => {} }, log: silentLog() }, () => []);
		return { feature, work: null, held: () => 0, isOpen: null, runs: null };
	});
});

describe("incoming messages", () => {
	featureContract(() => {
		const { inbound } = new ShardParts();
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
		const parts = new ShardParts();
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
		const { console } = new ShardParts();
		const viewer: ConsoleViewer = { ...nothingWatched, send: () => {}, getBufferedAmount: () => 0, end: () => console.feed.remove(viewer) };
		console.feed.add(viewer);
		const isOpen = () => console.feed.watching;
		return { feature: console, work: null, held: () => Number(isOpen()), isOpen, runs: null };
	});
});

describe("the raw endpoint", () => {
	featureContract(() => {
		const { raw } = new ShardParts();
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
		const parts = new ShardParts();
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
			drain: (leftMs: number) => withinDeadline(drained, leftMs),
			stop: async () => isOn?.removeSource(source),
		} as unknown as ShardIngest;
		/** Records that are not delivered in time are for the next owner of their partitions. */
		const begin = () => {
			drained = new Promise((resolve) => {
				finish = resolve;
			});
		};
		return {
			feature: kafkaFeature({
				...{ ingest, loop, onUrgent: () => {}, live: { config: defaultConfig() }, tracing: null },
				history: { log: { feed: () => "known" as const }, isUsed: () => false, limitsOf: () => null },
				ask: async () => {
					throw new Error("nobody is asked");
				},
			}),
			work: { begin, finish: () => finish(), isKept: true },
			held: () => sources.size,
			isOpen: null,
			runs: () => sources.has(source),
		};
	});
});

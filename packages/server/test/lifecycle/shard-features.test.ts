import { setImmediate as nextTurn } from "node:timers/promises";
import type { RecordLoop, RecordSource } from "@shardcast/bus";
import type { HttpRequest } from "@shardcast/http";
import type { ShardIngest } from "@shardcast/kafka";
import { everybody, RecordKind } from "@shardcast/wire";
import { describe } from "vitest";
import { type ConsoleViewer, nothingWatched } from "../../src/console/console-feed.ts";
import { kafkaFeature } from "../../src/lifecycle/kafka-feature.ts";
import { ShardHeartbeat } from "../../src/lifecycle/shard-heartbeat.ts";
import { withinDeadline } from "../../src/lifecycle/within-deadline.ts";
import { featureContract } from "../contracts/feature-contract.ts";
import { CentrifugeRig } from "../support/centrifuge-rig.ts";
import type { FakeTransport } from "../support/fake-transport.ts";
import { rawRequest } from "../support/raw-request.ts";
import { ShardParts } from "../support/shard-parts.ts";

describe("the shard's heartbeat", () => {
	featureContract(() => {
		const { row, options } = new ShardParts();
		const { bus, sample } = options;
		const feature = new ShardHeartbeat({ counters: row, bus, onOverslept: () => {}, sample, onSecond: () => {} });
		return { feature, work: null, held: () => 0, isOpen: null, runs: null };
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
			feature: kafkaFeature(ingest, loop, { log: { feed: () => "known" as const }, isUsed: () => false, limitsOf: () => null }),
			work: { begin, finish: () => finish(), isKept: true },
			held: () => sources.size,
			isOpen: null,
			runs: () => sources.has(source),
		};
	});
});

import { Namespaces } from "@shardcast/channels";
import { type Config, sameValue, withoutNamespace } from "@shardcast/config";
import { BoundedLines, type Log } from "@shardcast/telemetry";
import type { OpenCaller } from "./caller.ts";
import { ClientTable } from "./client-table.ts";
import type { EventReader } from "./event-ring.ts";
import { Occupancy } from "./occupancy.ts";
import { Webhook, type WebhookParts } from "./webhook.ts";
import { type ClientEvent, eventMembers, type NodeEvent } from "./webhook-event.ts";

interface WebhooksParts {
	readonly config: Config;
	readonly open: OpenCaller;
	/** The event rings of the shards, by slot; requested once, when there is a webhook. */
	readonly readers: () => ReadonlyMap<number, EventReader>;
	readonly log: Pick<Log, "info" | "warn" | "error">;
	readonly tell: WebhookParts["tell"];
	/** A random id for the stream of another webhook. */
	readonly newStream: () => string;
	/** Replaced in tests. */
	readonly clock?: Pick<WebhookParts, "nowMs" | "unixMs" | "random">;
}

/** What has happened to a node, or to all of them. */
type NodeChange =
	| {
			readonly type: "scaleUp" | "scaleDown";
			readonly event: Readonly<Record<"nodes" | "connections" | "maxConnections" | "load", number>>;
	  }
	| {
			readonly type: "joined" | "updated";
			readonly node: Readonly<Record<"id" | "address" | "region" | "status" | "health", string>>;
	  }
	| { readonly type: "left"; readonly id: string; readonly reason: string };

interface Shard {
	readonly reader: EventReader;
	readonly table: ClientTable;
}

/** Interval between two reads of the rings; a wake-up per event would cost more. */
const lookMs = 50;
/** Records read at once; then the rest of the program gets a turn. */
const recordsPerTurn = 2000;
/** Minimum interval between two `cache_empty` events for a channel, so that clients that subscribe together cause one event. */
const cacheEmptyMs = 1000;
const cacheEmptyMax = 10_000;
/** Maximum time for which an unresponsive receiver can delay the end of the server. */
const drainMsMax = 5000;
const drainStepMs = 20;
/** Minimum interval between two log lines about an unreadable ring, which is read 20 times a second. */
const lineEveryMs = 60_000;

/**
 * Sends the webhooks of a cluster, in one process: it reads the event rings of the shards, keeps track of clients and subscribers, and sends events
 * to the receivers. So an event has one sender, and the disconnects of a killed shard's clients are reported as well.
 *
 * Without a webhook it has no timer, no ring and no table. One owner, the supervisor, or the process of a single server.
 */
export class Webhooks {
	readonly #parts: WebhooksParts;
	readonly #clock: Pick<WebhookParts, "nowMs" | "unixMs" | "random">;
	readonly #occupancy: Occupancy;
	readonly #webhooks = new Map<string, Webhook>();
	/** Channels for which `cache_empty` was sent, with the time, in that order. */
	readonly #cacheEmpty = new Map<string, number>();
	readonly #lines: BoundedLines;
	#shards = new Map<number, Shard>();
	#config: Config;
	#namespaces: Namespaces;
	#timer: NodeJS.Timeout | null = null;
	#isStopped = false;

	constructor(parts: WebhooksParts) {
		const { clock } = parts;
		this.#parts = parts;
		this.#clock = clock ?? { nowMs: () => performance.now(), unixMs: Date.now, random: Math.random };
		this.#lines = new BoundedLines(lineEveryMs, this.#clock.nowMs);
		this.#config = parts.config;
		this.#namespaces = new Namespaces(parts.config);
		this.#occupancy = new Occupancy({ tell: this.#tell, nowMs: this.#clock.nowMs, delayMs: () => this.#config.webhookVacatedDelayMs });
		this.reload(parts.config);
	}

	/** Applies checked options. Webhooks with the same name keep their waiting events. */
	reload(config: Config): void {
		if (this.#isStopped) return;
		this.#config = config;
		this.#namespaces = new Namespaces(config);
		const wanted = new Map(config.webhooks.map((options) => [options.name, options]));
		for (const [name, webhook] of this.#webhooks) {
			if (wanted.has(name)) continue;
			const left = webhook.stop();
			this.#webhooks.delete(name);
			if (left > 0) this.#parts.log.warn(`webhook "${name}" was removed; ${left} waiting events are not sent`);
		}
		for (const [name, options] of wanted) {
			const webhook = this.#webhooks.get(name);
			if (webhook === undefined)
				this.#webhooks.set(name, new Webhook(options, { ...this.#parts, ...this.#clock, stream: this.#parts.newStream() }));
			else if (!sameValue(webhook.options, options)) webhook.change(options);
		}
		if (this.#webhooks.size > 0) this.#start();
		else this.#rest();
	}

	/** Something has happened to a node of the cluster. Call it on one node only. */
	nodeChanged(change: NodeChange): void {
		const at = this.#clock.unixMs();
		if (change.type === "left") {
			this.#tell({ type: "node_left", at, node: change.id, reason: change.reason });
			return;
		}
		if ("event" in change) {
			const { nodes, connections, maxConnections, load } = change.event;
			const type = change.type === "scaleUp" ? "scale_up" : "scale_down";
			this.#tell({ type, at, nodes, connections, max_connections: maxConnections, load });
			return;
		}
		const { id, address, region, status, health } = change.node;
		this.#tell({ type: change.type === "joined" ? "node_joined" : "node_updated", at, node: id, address, region, status, health });
	}

	/** A shard was added, whose ring is among the readers. */
	shardAdded(slot: number): void {
		// Who asks for the rings creates them.
		if (this.#shards.size === 0) return;
		const reader = this.#parts.readers().get(slot);
		if (reader !== undefined) this.#shards.set(slot, this.#shard(reader));
	}

	/** A shard whose process has ended is removed: its ring is not used after this. */
	shardRemoved(slot: number): void {
		this.shardDied(slot);
		this.#shards.delete(slot);
	}

	/** The shard's process is gone: reads its ring to the end, then reports the end of its clients. */
	shardDied(slot: number): void {
		const shard = this.#shards.get(slot);
		if (shard === undefined) return;
		while (this.#read(shard) > 0);
		shard.table.died(this.#clock.unixMs());
	}

	/** Number of known clients and channels, for tests. */
	get sizes(): { readonly clients: number; readonly channels: number } {
		let clients = 0;
		for (const { table } of this.#shards.values()) clients += table.size;
		return { clients, channels: this.#occupancy.channels };
	}

	/** Counters of each webhook, for the metrics. */
	readings() {
		return [...this.#webhooks].map(([name, { delivered, dropped, requests, waiting, oldestSeconds }]) => ({
			...{ name, delivered, dropped, requests, waiting, oldestSeconds },
		}));
	}

	/** Reads the rings and sends what is due. Called by a timer, and by tests. */
	readonly look = (): void => {
		let isFull = false;
		for (const shard of this.#shards.values()) isFull = this.#read(shard) === recordsPerTurn || isFull;
		this.#occupancy.tick(this.#clock.unixMs());
		for (const webhook of this.#webhooks.values()) webhook.tick();
		if (isFull) setImmediate(() => this.#timer !== null && this.look());
	};

	/** Sends the waiting events, as long as time allows; the shards have ended. @returns the number of events that were not sent. */
	async drain(deadlineMs: number): Promise<number> {
		const end = performance.now() + Math.min(deadlineMs, drainMsMax);
		for (const slot of this.#shards.keys()) this.shardDied(slot);
		this.#occupancy.tick(this.#clock.unixMs(), true);
		for (const webhook of this.#webhooks.values()) webhook.drain();
		while (!this.#isStopped && this.#waiting() > 0 && performance.now() < end) {
			for (const webhook of this.#webhooks.values()) webhook.tick();
			await new Promise((resolve) => setTimeout(resolve, drainStepMs));
		}
		return this.stop();
	}

	/** @returns the number of events that were not sent. */
	stop(): number {
		if (this.#isStopped) return 0;
		this.#isStopped = true;
		let left = 0;
		for (const webhook of this.#webhooks.values()) left += webhook.stop();
		this.#rest();
		return left;
	}

	#waiting(): number {
		let waiting = 0;
		for (const webhook of this.#webhooks.values()) waiting += webhook.waiting;
		return waiting;
	}

	#start(): void {
		if (this.#timer !== null) return;
		if (this.#shards.size === 0) {
			for (const [slot, reader] of this.#parts.readers()) this.#shards.set(slot, this.#shard(reader));
		}
		// Written by shards after the last webhook was removed, before they knew about it. A snapshot of the current clients follows.
		else for (const shard of this.#shards.values()) while (this.#read(shard, () => {}) > 0);
		this.#timer = setInterval(this.look, lookMs);
		this.#timer.unref();
	}

	#shard(reader: EventReader): Shard {
		const lost = (events: number): void => {
			for (const webhook of this.#webhooks.values()) webhook.lost(events);
		};
		return { reader, table: new ClientTable({ tell: this.#tell, occupancy: this.#occupancy, lost }) };
	}

	#rest(): void {
		if (this.#timer !== null) clearInterval(this.#timer);
		this.#timer = null;
		for (const { table } of this.#shards.values()) table.forget();
		this.#occupancy.forget();
		this.#cacheEmpty.clear();
	}

	/** A damaged ring loses only its own events: this process must go on running the cluster and reading the other rings. */
	#read({ reader, table }: Shard, visit = table.take): number {
		try {
			return reader.read(recordsPerTurn, visit);
		} catch (error) {
			this.#lines.offer((leftOut) => this.#parts.log.error({ error, leftOut }, "webhooks cannot read the events of a shard"));
			return 0;
		}
	}

	readonly #tell = (event: ClientEvent | NodeEvent): void => {
		if (event.type === "cache_empty" && this.#isRepeated(event.channel)) return;
		const namespace = "channel" in event ? this.#namespaces.of(event.channel).namespace || withoutNamespace : null;
		let members: string | null = null;
		for (const webhook of this.#webhooks.values()) {
			if (!webhook.wants(event.type, namespace)) continue;
			members ??= eventMembers(event);
			webhook.add(members);
		}
	};

	#isRepeated(channel: string): boolean {
		const at = this.#clock.nowMs();
		const last = this.#cacheEmpty.get(channel);
		if (last !== undefined && at - last < cacheEmptyMs) return true;
		this.#cacheEmpty.delete(channel);
		this.#cacheEmpty.set(channel, at);
		if (this.#cacheEmpty.size > cacheEmptyMax) this.#cacheEmpty.delete(this.#cacheEmpty.keys().next().value!);
		return false;
	}
}

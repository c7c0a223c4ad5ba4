import { Namespaces } from "@shardcast/channels";
import { type Config, sameValue, withoutNamespace } from "@shardcast/config";
import { BoundedLines, type Log } from "@shardcast/telemetry";
import type { OpenCaller } from "./caller.ts";
import { ClientTable } from "./client-table.ts";
import type { EventReader } from "./event-ring.ts";
import { Occupancy } from "./occupancy.ts";
import { Webhook, type WebhookParts } from "./webhook.ts";
import { type ClientEvent, eventMembers } from "./webhook-event.ts";

interface WebhooksParts {
	readonly config: Config;
	readonly open: OpenCaller;
	/** The event rings of the shards, by slot; asked for once, when there is a webhook. */
	readonly readers: () => ReadonlyMap<number, EventReader>;
	readonly log: Pick<Log, "info" | "warn" | "error">;
	readonly tell: WebhookParts["tell"];
	/** A name for the events of one more webhook; random. */
	readonly newStream: () => string;
	/** Replaced in tests. */
	readonly clock?: Pick<WebhookParts, "nowMs" | "unixMs" | "random">;
}

interface Shard {
	readonly reader: EventReader;
	readonly table: ClientTable;
}

/** Between two looks at the rings, which are not worth a wake-up for each event. */
const lookMs = 50;
/** Records in a row; then the rest of the program has its turn. */
const recordsPerTurn = 2000;
/** The same channel is not told again as empty for so long: its subscribers of one moment are one event. */
const cacheEmptyMs = 1000;
const cacheEmptyMax = 10_000;
/** A receiver that does not answer holds up the end of the server for so long at most. */
const drainMsMax = 5000;
const drainStepMs = 20;
/** One line about a ring that cannot be read in this time: it is read 20 times a second. */
const lineEveryMs = 60_000;

/**
 * The one process of a cluster that sends webhooks: it collects what the shards write into their event rings, knows from it which clients and
 * subscribers there are, and tells the receivers. So an event has one sender, and the end of a shard that was killed is told as well.
 *
 * Without a webhook it has no timer, no ring and no table. One owner, the supervisor, or the process of a single server.
 */
export class Webhooks {
	readonly #parts: WebhooksParts;
	readonly #clock: Pick<WebhookParts, "nowMs" | "unixMs" | "random">;
	readonly #occupancy: Occupancy;
	readonly #webhooks = new Map<string, Webhook>();
	/** Channels that were told as empty, and when, in that order. */
	readonly #cacheEmpty = new Map<string, number>();
	readonly #lines: BoundedLines;
	#shards: ReadonlyMap<number, Shard> = new Map();
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

	/** Takes options that have been checked. Webhooks of the same name keep what waits. */
	reload(config: Config): void {
		if (this.#isStopped) return;
		this.#config = config;
		this.#namespaces = new Namespaces(config);
		const wanted = new Map(config.webhooks.map((options) => [options.name, options]));
		for (const [name, webhook] of this.#webhooks) {
			if (wanted.has(name)) continue;
			const left = webhook.stop();
			this.#webhooks.delete(name);
			if (left > 0) this.#parts.log.warn(`webhook "${name}" is removed; ${left} events that waited are not sent`);
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

	/** Nothing of this shard runs any more: what it has written is read to the end, and then its clients are gone. */
	shardDied(slot: number): void {
		const shard = this.#shards.get(slot);
		if (shard === undefined) return;
		while (this.#read(shard) > 0);
		shard.table.died(this.#clock.unixMs());
	}

	/** Clients and channels that it knows of, for tests. */
	get sizes(): { readonly clients: number; readonly channels: number } {
		let clients = 0;
		for (const { table } of this.#shards.values()) clients += table.size;
		return { clients, channels: this.#occupancy.channels };
	}

	/** For the metrics: what each has done so far. */
	readings() {
		return [...this.#webhooks].map(([name, { delivered, dropped, requests, waiting, oldestSeconds }]) => ({
			...{ name, delivered, dropped, requests, waiting, oldestSeconds },
		}));
	}

	/** Reads what there is, and sends what is due. Called by a timer; by tests as well. */
	readonly look = (): void => {
		let isFull = false;
		for (const shard of this.#shards.values()) isFull = this.#read(shard) === recordsPerTurn || isFull;
		this.#occupancy.tick(this.#clock.unixMs());
		for (const webhook of this.#webhooks.values()) webhook.tick();
		if (isFull) setImmediate(() => this.#timer !== null && this.look());
	};

	/** The shards have ended: sends what waits, as long as the time allows. @returns how many events were not sent. */
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

	/** @returns how many events were not sent. */
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
			const lost = (events: number): void => {
				for (const webhook of this.#webhooks.values()) webhook.lost(events);
			};
			const table = () => new ClientTable({ tell: this.#tell, occupancy: this.#occupancy, lost });
			this.#shards = new Map([...this.#parts.readers()].map(([slot, reader]) => [slot, { reader, table: table() }]));
		}
		// What the shards wrote after the last webhook was removed, and before they knew. Who is there now, they tell after this.
		else for (const shard of this.#shards.values()) while (this.#read(shard, () => {}) > 0);
		this.#timer = setInterval(this.look, lookMs);
		this.#timer.unref();
	}

	#rest(): void {
		if (this.#timer !== null) clearInterval(this.#timer);
		this.#timer = null;
		for (const { table } of this.#shards.values()) table.forget();
		this.#occupancy.forget();
		this.#cacheEmpty.clear();
	}

	/** A ring that is damaged costs its own events only: this process runs the cluster, and other shards have events as well. */
	#read({ reader, table }: Shard, visit = table.take): number {
		try {
			return reader.read(recordsPerTurn, visit);
		} catch (error) {
			this.#lines.offer((leftOut) => this.#parts.log.error({ error, leftOut }, "webhooks cannot read the events of a shard"));
			return 0;
		}
	}

	readonly #tell = (event: ClientEvent): void => {
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

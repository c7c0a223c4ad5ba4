import { type Config, type WebhookEventType, wantsEvent } from "@shardcast/config";
import type { Counters } from "@shardcast/scoreboard";
import type { Log } from "@shardcast/telemetry";
import type { ClientRecord, EventWriter } from "@shardcast/webhooks";
import type { Commit, Feature } from "../lifecycle/feature.ts";
import type { ClientSession } from "../sessions/client-session.ts";

/** What is told of a client, by Centrifugo's names. */
export interface ClientDescription {
	readonly client: string;
	readonly user: string;
	readonly transport: string;
	readonly protocol: string;
}

interface ClientEventsParts {
	readonly config: Config;
	/** Opens this shard's event ring. Called once, when there is a webhook. @throws when there is none. */
	readonly open: () => EventWriter;
	readonly counters: Pick<Counters, "add">;
	readonly log: Pick<Log, "error">;
	/** Milliseconds since 1970. */
	readonly now?: () => number;
}

/** The client that a snapshot is at. */
interface Telling {
	readonly session: ClientSession;
	/** Those that are not written yet; the next one is the last. */
	readonly records: ClientRecord[];
	/** An event of this client was left out. */
	isStale: boolean;
}

/** Which events anybody wants to hear of. */
interface Wanted {
	readonly any: boolean;
	readonly subscriptions: boolean;
	readonly cacheEmpty: boolean;
}

/** Before a snapshot is begun, or continued: the collector looks at the ring this often. */
const snapshotPauseMs = 50;
const recordsPerTurn = 1000;

/**
 * Tells the collector of webhooks what the clients of this shard do, through the event ring. Without a webhook each call returns at once, and
 * there is no ring. With one, an event costs one to two microseconds.
 *
 * When the ring is full, nothing waits: a snapshot of all clients follows when there is room, and the collector finds out by itself what has
 * changed. One owner, the shard's loop. Bound: the clients.
 */
export class ClientEvents implements Feature {
	readonly name = "webhooks";
	readonly #parts: ClientEventsParts;
	readonly #now: () => number;
	#wanted: Wanted;
	#writer: EventWriter | null = null;
	/** Clients that have connected. */
	readonly #keys = new Map<ClientSession, number>();
	#lastKey = 0;
	/** Clients whose connect did not fit into a record: the collector does not know them. */
	readonly #untellable = new WeakSet<ClientSession>();
	#hasLoggedTooLong = false;
	/** Clients that a snapshot has still to tell: what happens to them until then is not told by itself. Null = there is no snapshot. */
	#untold: Set<ClientSession> | null = null;
	#hasBegun = false;
	#telling: Telling | null = null;
	#isQuiet = false;
	/** Events that found no room. */
	#lost = 0;
	#timer: NodeJS.Timeout | null = null;
	/** All clients that are there, when webhooks are switched on. */
	readonly #clients: () => readonly ClientSession[];

	constructor(parts: ClientEventsParts, clients: () => readonly ClientSession[]) {
		this.#parts = parts;
		this.#now = parts.now ?? Date.now;
		this.#wanted = wantedBy(parts.config);
		this.#clients = clients;
	}

	get wantsCacheEmpty(): boolean {
		return this.#wanted.cacheEmpty;
	}

	start(): void {
		if (this.#wanted.any) this.#writer = this.#parts.open();
	}

	reload(config: Config): Commit {
		const wanted = wantedBy(config);
		if (wanted.any) this.#writer ??= this.#parts.open();
		return () => {
			const before = this.#wanted;
			this.#wanted = wanted;
			if (!wanted.any) this.#switchOff();
			else if (!before.any || (wanted.subscriptions && !before.subscriptions)) this.#switchOn();
		};
	}

	stop(): void {
		if (this.#timer !== null) clearTimeout(this.#timer);
	}

	/** The client has connected, and `describe` says who it is. */
	connected(session: ClientSession): void {
		if (!this.#wanted.any || this.#keys.has(session)) return;
		const description = session.describe();
		if (description === null) return;
		const key = this.#keyOf(session);
		if (this.#untold !== null) {
			this.#untold.add(session);
			this.#lost++;
			return;
		}
		if (this.#write(["connect", this.#now(), key, ...membersOf(description)])) return;
		this.#keys.delete(session);
		this.#untellable.add(session);
	}

	/** A connection has been opened: clients of the raw endpoint are connected by that. */
	opened(session: ClientSession): void {
		if (!this.#wanted.any) return;
		this.connected(session);
		for (const channel of session.channels) this.subscribed(session, channel);
	}

	subscribed(session: ClientSession, channel: string): void {
		if (!this.#wanted.subscriptions) return;
		const key = this.#told(session);
		if (key !== undefined) this.#write(["subscribe", this.#now(), key, channel]);
	}

	/** @param code why, as the client was told; 0 = it asked for it. */
	unsubscribed(session: ClientSession, channel: string, code: number): void {
		if (!this.#wanted.subscriptions) return;
		const key = this.#told(session);
		if (key !== undefined) this.#write(["unsubscribe", this.#now(), key, channel, code]);
	}

	/** The connection has ended, and all subscriptions with it. */
	closed(session: ClientSession, code: number): void {
		if (!this.#wanted.any) return;
		// Half told, it is known to the collector.
		const isHalfTold = this.#telling?.session === session;
		const key = isHalfTold ? this.#keys.get(session) : this.#told(session);
		if (isHalfTold) this.#telling = null;
		this.#keys.delete(session);
		this.#untold?.delete(session);
		if (key !== undefined) this.#write(["disconnect", this.#now(), key, code]);
	}

	/** A client has subscribed to a channel that keeps a history and has no publication. */
	cacheEmpty(channel: string): void {
		if (!this.#wanted.cacheEmpty) return;
		if (this.#untold === null) this.#write(["cache_empty", this.#now(), channel]);
		else this.#lost++;
	}

	#keyOf(session: ClientSession): number {
		const key = ++this.#lastKey;
		this.#keys.set(session, key);
		return key;
	}

	/** Undefined = the collector does not know the client, or a snapshot will tell of it. */
	#told(session: ClientSession): number | undefined {
		const key = this.#keys.get(session);
		if (key === undefined && this.#untellable.has(session)) this.#isTooLong();
		if (key === undefined || this.#untold?.has(session) !== true) return key;
		this.#lost++;
		if (this.#telling?.session === session) this.#telling.isStale = true;
		return undefined;
	}

	/** False = it is too long, and nobody will hear of it. */
	#write(record: ClientRecord): boolean {
		const outcome = this.#writer!.write(record);
		if (outcome === "full") {
			this.#lost++;
			this.#snapshotSoon();
		} else if (outcome === "tooLong") this.#isTooLong();
		return outcome !== "tooLong";
	}

	/** The limits of user ids and names of channels keep events far below that. */
	#isTooLong(): void {
		this.#parts.counters.add("clientEventsTooLong", 1);
		if (this.#hasLoggedTooLong) return;
		this.#hasLoggedTooLong = true;
		this.#parts.log.error(
			"an event of a client is longer than a record for webhooks, and is not told to any; shardcast_webhook_events_too_long_total counts such events",
		);
	}

	#switchOff(): void {
		this.#keys.clear();
		this.#untold = null;
		this.#telling = null;
		this.#lost = 0;
	}

	/** What is there already is no event. */
	#switchOn(): void {
		for (const session of this.#clients()) if (!this.#keys.has(session) && session.describe() !== null) this.#keyOf(session);
		this.#snapshotSoon(true);
	}

	#snapshotSoon(isQuiet = this.#untold !== null && this.#isQuiet): void {
		this.#untold = new Set(this.#keys.keys());
		this.#isQuiet = isQuiet;
		this.#hasBegun = false;
		this.#telling = null;
		this.#again(isQuiet ? 0 : snapshotPauseMs);
	}

	#again(afterMs: number): void {
		if (this.#timer !== null) clearTimeout(this.#timer);
		this.#timer = setTimeout(() => this.#snapshot(), afterMs).unref();
	}

	#snapshot(): void {
		this.#timer = null;
		if (this.#untold === null) return;
		const pauseMs = this.#tellClients(this.#untold, this.#writer!);
		if (pauseMs === null) this.#untold = null;
		else this.#again(pauseMs);
	}

	/** As many as there is time and room for. @returns the pause until it goes on; null = all are told. */
	#tellClients(untold: Set<ClientSession>, writer: EventWriter): number | null {
		if (!this.#hasBegun) {
			if (writer.isHalfFull || writer.write(["snapshot", this.#now(), this.#lost, this.#isQuiet]) === "full") return snapshotPauseMs;
			this.#hasBegun = true;
			this.#lost = 0;
		}
		let left = recordsPerTurn;
		for (const session of untold) {
			if (this.#telling?.session !== session) this.#telling = this.#beginTelling(session);
			const { records } = this.#telling;
			for (let record = records.at(-1); record !== undefined; record = records.at(-1)) {
				const outcome = writer.isHalfFull ? "full" : writer.write(record);
				if (outcome === "full") return snapshotPauseMs;
				records.pop();
				if (outcome === "tooLong") this.#leftOut(session, record, records);
				left--;
			}
			// Something has happened to it meanwhile, so it is told again.
			if (this.#telling.isStale) this.#telling = null;
			else untold.delete(session);
			if (left <= 0) return 0;
		}
		this.#telling = null;
		if (untold.size > 0) return 0;
		return writer.write(["snapshotEnd", this.#now()]) === "full" ? snapshotPauseMs : null;
	}

	/** Without the client the rest of it means nothing. */
	#leftOut(session: ClientSession, [kind]: ClientRecord, records: ClientRecord[]): void {
		this.#isTooLong();
		if (kind !== "client") return;
		records.length = 0;
		this.#keys.delete(session);
		this.#untellable.add(session);
	}

	#beginTelling(session: ClientSession): Telling {
		const key = this.#keys.get(session);
		const description = session.describe();
		if (key === undefined || description === null) return { session, records: [], isStale: false };
		const at = this.#now();
		const channels = this.#wanted.subscriptions ? session.channels : [];
		const records: ClientRecord[] = [
			["client", at, key, ...membersOf(description)],
			...channels.map((channel) => ["channel", at, key, channel] as const),
			["clientEnd", at, key],
		];
		return { session, records: records.reverse(), isStale: false };
	}
}

function membersOf({ client, user, transport, protocol }: ClientDescription): [string, string, string, string] {
	return [client, user, transport, protocol];
}

function wantedBy({ webhooks }: Pick<Config, "webhooks">): Wanted {
	const wants = (...types: readonly WebhookEventType[]): boolean =>
		webhooks.some((webhook) => types.some((type) => wantsEvent(webhook, type)));
	return {
		any: webhooks.length > 0,
		subscriptions: wants("subscribe", "unsubscribe", "occupied", "vacated"),
		cacheEmpty: wants("cache_empty"),
	};
}

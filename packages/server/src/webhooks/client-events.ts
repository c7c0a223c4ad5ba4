import { type Config, type WebhookEventType, wantsEvent } from "@shardcast/config";
import type { Counters } from "@shardcast/scoreboard";
import type { Log } from "@shardcast/telemetry";
import type { ClientRecord, EventWriter } from "@shardcast/webhooks";
import type { Commit, Feature } from "../lifecycle/feature.ts";
import type { ClientSession } from "../sessions/client-session.ts";

/** Fields of a client in events, with Centrifugo's names. */
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

/** The client that a snapshot is writing. */
interface SnapshotClient {
	readonly session: ClientSession;
	/** Records that are not written yet; the last one is next. */
	readonly records: ClientRecord[];
	/** Whether an event of this client was left out, so that it must be written again. */
	isStale: boolean;
}

/** The events that any webhook wants. */
interface Wanted {
	readonly any: boolean;
	readonly subscriptions: boolean;
	readonly cacheEmpty: boolean;
}

/** Pause before a snapshot is started or continued: the collector reads the ring at this interval. */
const snapshotPauseMs = 50;
const recordsPerTurn = 1000;

/**
 * Writes the events of this shard's clients into the event ring, for the collector of webhooks. Without a webhook each call returns immediately,
 * and there is no ring. With one, an event costs one to two microseconds.
 *
 * When the ring is full, nothing waits: a snapshot of all clients follows when there is space, and the collector determines what has changed.
 * One owner, the shard's loop. Bound: the clients.
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
	readonly #tooLong = new WeakSet<ClientSession>();
	#hasLoggedTooLong = false;
	/** Clients that the snapshot has not written yet; until then their events are not written separately. Null = no snapshot. */
	#pending: Set<ClientSession> | null = null;
	#hasBegun = false;
	#current: SnapshotClient | null = null;
	#isQuiet = false;
	/** Events that did not fit. */
	#lost = 0;
	#timer: NodeJS.Timeout | null = null;
	/** All current clients, when webhooks are switched on. */
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

	/** Call when the client has connected and `describe` returns its fields. */
	connected(session: ClientSession): void {
		if (!this.#wanted.any || this.#keys.has(session)) return;
		const description = session.describe();
		if (description === null) return;
		const key = this.#keyOf(session);
		if (this.#pending !== null) {
			this.#pending.add(session);
			this.#lost++;
			return;
		}
		if (this.#write(["connect", this.#now(), key, ...membersOf(description)])) return;
		this.#keys.delete(session);
		this.#tooLong.add(session);
	}

	/** Call when a connection was opened; for raw clients that is the connect event. */
	opened(session: ClientSession): void {
		if (!this.#wanted.any) return;
		this.connected(session);
		for (const channel of session.channels) this.subscribed(session, channel);
	}

	subscribed(session: ClientSession, channel: string): void {
		if (!this.#wanted.subscriptions) return;
		const key = this.#keyForEvent(session);
		if (key !== undefined) this.#write(["subscribe", this.#now(), key, channel]);
	}

	/** @param code the code that the client got; 0 = it unsubscribed itself. */
	unsubscribed(session: ClientSession, channel: string, code: number): void {
		if (!this.#wanted.subscriptions) return;
		const key = this.#keyForEvent(session);
		if (key !== undefined) this.#write(["unsubscribe", this.#now(), key, channel, code]);
	}

	/** Call when the connection, and with it all subscriptions, has ended. */
	closed(session: ClientSession, code: number): void {
		if (!this.#wanted.any) return;
		// The collector knows a client that was written only in part.
		const isPartlyWritten = this.#current?.session === session;
		const key = isPartlyWritten ? this.#keys.get(session) : this.#keyForEvent(session);
		if (isPartlyWritten) this.#current = null;
		this.#keys.delete(session);
		this.#pending?.delete(session);
		if (key !== undefined) this.#write(["disconnect", this.#now(), key, code]);
	}

	/** Call when a client has subscribed to a channel with history and without publications. */
	cacheEmpty(channel: string): void {
		if (!this.#wanted.cacheEmpty) return;
		if (this.#pending === null) this.#write(["cache_empty", this.#now(), channel]);
		else this.#lost++;
	}

	#keyOf(session: ClientSession): number {
		const key = ++this.#lastKey;
		this.#keys.set(session, key);
		return key;
	}

	/** The client's key for an event; undefined = the collector does not know the client, or a snapshot will include it. */
	#keyForEvent(session: ClientSession): number | undefined {
		const key = this.#keys.get(session);
		if (key === undefined && this.#tooLong.has(session)) this.#isTooLong();
		if (key === undefined || this.#pending?.has(session) !== true) return key;
		this.#lost++;
		if (this.#current?.session === session) this.#current.isStale = true;
		return undefined;
	}

	/** False = the event is too long and is dropped. */
	#write(record: ClientRecord): boolean {
		const outcome = this.#writer!.write(record);
		if (outcome === "full") {
			this.#lost++;
			this.#snapshotSoon();
		} else if (outcome === "tooLong") this.#isTooLong();
		return outcome !== "tooLong";
	}

	/** The limits on user ids and channel names keep events far below that length. */
	#isTooLong(): void {
		this.#parts.counters.add("clientEventsTooLong", 1);
		if (this.#hasLoggedTooLong) return;
		this.#hasLoggedTooLong = true;
		this.#parts.log.error(
			"an event of a client is longer than a record for webhooks, and is not sent; shardcast_webhook_events_too_long_total counts such events",
		);
	}

	#switchOff(): void {
		this.#keys.clear();
		this.#pending = null;
		this.#current = null;
		this.#lost = 0;
	}

	/** Existing clients are not events. */
	#switchOn(): void {
		for (const session of this.#clients()) if (!this.#keys.has(session) && session.describe() !== null) this.#keyOf(session);
		this.#snapshotSoon(true);
	}

	#snapshotSoon(isQuiet = this.#pending !== null && this.#isQuiet): void {
		this.#pending = new Set(this.#keys.keys());
		this.#isQuiet = isQuiet;
		this.#hasBegun = false;
		this.#current = null;
		this.#again(isQuiet ? 0 : snapshotPauseMs);
	}

	#again(afterMs: number): void {
		if (this.#timer !== null) clearTimeout(this.#timer);
		this.#timer = setTimeout(() => this.#snapshot(), afterMs).unref();
	}

	#snapshot(): void {
		this.#timer = null;
		if (this.#pending === null) return;
		const pauseMs = this.#writeClients(this.#pending, this.#writer!);
		if (pauseMs === null) this.#pending = null;
		else this.#again(pauseMs);
	}

	/** Writes as many clients as there is time and space for. @returns the pause before it continues; null = done. */
	#writeClients(pending: Set<ClientSession>, writer: EventWriter): number | null {
		if (!this.#hasBegun) {
			if (writer.isHalfFull || writer.write(["snapshot", this.#now(), this.#lost, this.#isQuiet]) === "full") return snapshotPauseMs;
			this.#hasBegun = true;
			this.#lost = 0;
		}
		let left = recordsPerTurn;
		for (const session of pending) {
			if (this.#current?.session !== session) this.#current = this.#beginClient(session);
			const { records } = this.#current;
			for (let record = records.at(-1); record !== undefined; record = records.at(-1)) {
				const outcome = writer.isHalfFull ? "full" : writer.write(record);
				if (outcome === "full") return snapshotPauseMs;
				records.pop();
				if (outcome === "tooLong") this.#leftOut(session, record, records);
				left--;
			}
			// The client has changed meanwhile, so it is written again.
			if (this.#current.isStale) this.#current = null;
			else pending.delete(session);
			if (left <= 0) return 0;
		}
		this.#current = null;
		if (pending.size > 0) return 0;
		return writer.write(["snapshotEnd", this.#now()]) === "full" ? snapshotPauseMs : null;
	}

	/** Without the client record, the rest is meaningless. */
	#leftOut(session: ClientSession, [kind]: ClientRecord, records: ClientRecord[]): void {
		this.#isTooLong();
		if (kind !== "client") return;
		records.length = 0;
		this.#keys.delete(session);
		this.#tooLong.add(session);
	}

	#beginClient(session: ClientSession): SnapshotClient {
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

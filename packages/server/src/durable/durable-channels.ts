import type { MessageDetails } from "@shardcast/bus";
import type { ChannelLog, History, HistoryLimits, LogHistoryOptions, LogReader, Position, Publication } from "@shardcast/channel-log";
import type { Namespaces } from "@shardcast/channels";
import type { Config } from "@shardcast/config";
import { DurableStore, lateMax, type StoredPublication, StoreError } from "@shardcast/durable-store";
import { StartupError } from "@shardcast/process";
import type { Counters } from "@shardcast/scoreboard";
import type { Log } from "@shardcast/telemetry";
import { type PublishResult, publishFull, type RecordKind } from "@shardcast/wire";
import type { Feature } from "../lifecycle/feature.ts";
import { epochIn, Mirror } from "./mirror.ts";

interface DurableChannelsParts {
	/** Read at each use. */
	readonly live: { readonly config: Config; readonly namespaces: Namespaces };
	readonly history: Pick<ChannelLog, "position" | "mirror" | "history" | "publish" | "once">;
	readonly counters: Pick<Counters, "add" | "set">;
	/** Identifies this shard and its present run, see `incarnationId`. */
	readonly life: number;
	readonly log: Pick<Log, "error">;
}

const idempotencyTtlMs = 300_000;
const unacknowledged: PublishResult = { outcome: "unacknowledged", detail: "the durable store could not be written" };

/**
 * Channels of namespaces with `durable`: a publication is on disk before it is answered, and the history survives a restart of the cluster. The
 * store decides order and offsets; the logs in memory bring publications to the shards.
 */
export class DurableChannels implements Feature {
	readonly name = "durable";
	readonly store: DurableStore;
	readonly #parts: DurableChannelsParts;
	readonly #mirror: Mirror;
	#failedMs = Number.NEGATIVE_INFINITY;
	#sweeping = false;

	/** Null without a directory for the store. @throws StartupError with a one-line message that says what to do. */
	static open(parts: DurableChannelsParts): DurableChannels | null {
		try {
			return parts.live.config.durableStorePath === "" ? null : new DurableChannels(parts);
		} catch (error) {
			if (!(error instanceof StoreError)) throw error;
			throw new StartupError(error.message, { exitStatus: 2, cause: error });
		}
	}

	private constructor(parts: DurableChannelsParts) {
		const { live, history: log } = parts;
		this.#parts = parts;
		this.store = DurableStore.open({
			folder: live.config.durableStorePath,
			bytesMax: () => live.config.durableStoreBytesMax,
			positionsMax: () => live.config.durablePositionsMax,
		});
		this.#mirror = new Mirror({ store: this.store, log, failed: (error) => this.#failed(error) });
	}

	has(channel: string): boolean {
		return this.#limitsOf(channel) !== null;
	}

	/** Settles when the publication is on disk. Later ones of the same channel wait for it. */
	async publish(
		kind: RecordKind,
		id: number,
		channel: string,
		payload: Uint8Array,
		limits: HistoryLimits,
		{ info, tags, idempotencyKey: key }: MessageDetails = {},
	): Promise<PublishResult> {
		const { counters, life } = this.#parts;
		const data = new Uint8Array(payload);
		try {
			const known = await this.#mirror.ensure(channel, limits);
			// The store keeps some publications beyond their limit, for consumers that are late.
			if (known === null || this.#mirror.behind(channel, known) > lateMax / 2) return this.#refused();
			const stored = await this.store.publish(channel, {
				kind,
				data,
				history: { size: limits.size, ttlMs: limits.ttlMs, metaTtlMs: limits.metaTtlMs },
				...(info && { info }),
				...(tags && { tags }),
				senderId: id,
				senderLife: id === 0 ? 0 : life,
				...(key !== undefined && { idempotency: { key, ttlMs: idempotencyTtlMs } }),
			});
			if (stored === "full") return this.#refused();
			this.#mirror.due(channel, limits);
			const position: Position = { offset: stored.offset, epoch: epochIn(stored.channel) };
			if (stored.duplicate) return { outcome: "accepted", position, duplicate: true };
			counters.add("messagesIn", 1);
			counters.add("bytesIn", data.length);
			return { outcome: "accepted", position };
		} catch (error) {
			this.#failed(error);
			return unacknowledged;
		}
	}

	/** Like the method of the logs, for all channels. */
	position(channel: string, asOf?: LogReader): Position | null {
		const limits = this.#limitsOf(channel);
		if (limits === null) return this.#parts.history.position(channel, asOf);
		const stored = this.#mirror.known(channel);
		if (stored === null) {
			this.#mirror.ensure(channel, limits).catch((error: unknown) => this.#failed(error));
			return null;
		}
		const epoch = epochIn(stored);
		if (asOf === undefined) return { offset: stored.last, epoch };
		const delivered = this.#parts.history.position(channel, asOf);
		// This shard has not reached the log's last entry about the channel yet.
		return delivered === null || delivered.offset === 0 || delivered.epoch !== epoch ? null : delivered;
	}

	/** Like the method of the logs, for all channels. */
	history(channel: string, options: LogHistoryOptions = {}): History | null {
		if (!this.has(channel)) return this.#parts.history.history(channel, options);
		const { since, limit = Number.MAX_SAFE_INTEGER, reverse = false, asOf } = options;
		const position = this.position(channel, asOf);
		if (position === null) return null;
		if (limit <= 0 || (since !== undefined && since.epoch !== position.epoch)) return { publications: [], position };
		const most = Math.min(limit, 1_000_000);
		const stored = reverse
			? this.store.readReverse(channel, Math.min(since?.offset ?? Number.MAX_SAFE_INTEGER, position.offset + 1), most)
			: this.store.read(channel, since?.offset ?? 0, position.offset, most);
		return { publications: stored.map(publication), position };
	}

	/** Makes the channel known to the log. False = not in time, or the store is full. */
	async ensure(channel: string): Promise<boolean> {
		const limits = this.#limitsOf(channel);
		return limits !== null && (await this.#mirror.ensure(channel, limits)) !== null;
	}

	everySecond(): void {
		const { counters } = this.#parts;
		this.#mirror.everySecond();
		counters.set("durableBytes", this.store.bytes);
		counters.set("durablePositions", this.store.positions.count);
		if (this.#sweeping) return;
		this.#sweeping = true;
		this.store
			.sweep()
			.catch((error: unknown) => this.#failed(error))
			.finally(() => {
				this.#sweeping = false;
			});
	}

	async drain(): Promise<void> {
		await this.store.positions.flush();
	}

	stop(): Promise<void> {
		return this.store.close();
	}

	#limitsOf(channel: string): HistoryLimits | null {
		const { options, history } = this.#parts.live.namespaces.of(channel);
		return options.durable ? history : null;
	}

	#refused(): PublishResult {
		this.#parts.counters.add("backpressured", 1);
		return publishFull;
	}

	/** Logs at most once a second. */
	#failed(error: unknown): void {
		this.#parts.counters.add("durableFailures", 1);
		const nowMs = performance.now();
		if (nowMs - this.#failedMs < 1000) return;
		this.#failedMs = nowMs;
		this.#parts.log.error({ error }, `durable channels: ${(error as Error).message}`);
	}
}

function publication({ offset, kind, data, info, tags }: StoredPublication): Publication {
	return { offset, previousOffset: offset - 1, kind, data, ...(info && { info }), ...(tags && { tags }) };
}

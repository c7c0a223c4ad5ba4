import { randomFillSync } from "node:crypto";
import {
	type Broker,
	type BrokerAccepted,
	type BrokerFull,
	type BrokerTooLarge,
	type BrokerUnacknowledged,
	checkKeyTtl,
	checkLimits,
	epochText,
	type History,
	type HistoryLimits,
	type HistoryOptions,
	type Position,
	type Publication,
	type PublishOptions,
} from "@shardcast/channel-log";
import { type Argument, type Redis, RedisError } from "@shardcast/redis";
import { channelList } from "@shardcast/wire";
import { type Compressor, unpack } from "./compression.ts";
import { Keys } from "./keys.ts";
import type { NodeId } from "./node-id.ts";
import { type OutgoingPublication, OutgoingPublications, type PublicationOutcome } from "./outgoing-publications.ts";
import { publishAnswer, readAnswer, type StreamPart } from "./script-answers.ts";
import { publishScript, readScript, removeScript } from "./scripts.ts";
import { decodePublication, encodePublication, type StoredPublication } from "./stored-publication.ts";

interface RedisBrokerOptions {
	readonly redis: Pick<Redis, "run">;
	/** Of all keys and pub/sub channels. */
	readonly prefix: string;
	readonly node: NodeId;
	/** Whether a restarted or promoted server is trusted to have every acknowledged publication. Channels then keep their epoch. */
	readonly trustsReplicas: boolean;
	/** How long a publication may wait while Redis cannot be reached, in milliseconds. */
	readonly waitMs: number;
	/** Longest encoded publication, before it is compressed. */
	readonly publicationBytesMax: number;
	/** For publications. */
	readonly compressor: Pick<Compressor, "pack">;
}

/** How long the metadata of a channel without publications is kept. */
const idleMetaTtlMs = 3_600_000;
const unreadable: PublicationOutcome = { outcome: "unacknowledged", reason: "broker", detail: "Redis gave an answer that cannot be read" };

/**
 * The broker for several nodes. Redis assigns each publication its position, and keeps the last ones in a stream. **Any number of processes on any
 * number of nodes.** Publishing is one script, so it is atomic; publications of a channel that wait together share it. Subscribers get publications through pub/sub; see `Feeder`.
 */
export class RedisBroker implements Broker {
	readonly keys: Keys;
	readonly #options: RedisBrokerOptions;
	/** Epochs for channels that need a new one: many at once, since each call of the generator costs as much as the other work for a publication. */
	readonly #random = new Int32Array(256);
	#randomUsed = this.#random.length;
	readonly #outgoing = new OutgoingPublications((channel, limits, publications) => this.#publishAll(channel, limits, publications));

	constructor(options: RedisBrokerOptions) {
		this.keys = new Keys(options.prefix);
		this.#options = options;
	}

	async publish(
		channel: string,
		data: Uint8Array,
		options: PublishOptions,
	): Promise<BrokerAccepted | BrokerFull | BrokerTooLarge | BrokerUnacknowledged> {
		const { node, publicationBytesMax, compressor } = this.#options;
		const { history, idempotency } = options;
		// Such a name has been checked.
		if (!this.#outgoing.has(channel)) channelList([channel]);
		checkLimits(history);
		if (idempotency !== undefined) checkKeyTtl(idempotency.ttlMs);
		const bytes = encodePublication(node, data, options);
		if (bytes.length > publicationBytesMax)
			return { outcome: "too_large", detail: `a publication of ${bytes.length} bytes; the most is ${publicationBytesMax}` };
		return this.#outgoing.take(channel, history, { bytes: compressor.pack(bytes), idempotency });
	}

	async #publishAll(
		channel: string,
		{ size, ttlMs, metaTtlMs }: HistoryLimits,
		publications: readonly OutgoingPublication[],
	): Promise<readonly PublicationOutcome[]> {
		const keys = [this.keys.meta(channel), this.keys.stream(channel)];
		const args: Argument[] = [...this.#common(), ...[size, Math.floor(ttlMs), Math.floor(metaTtlMs)].map(String), this.keys.topic(channel)];
		for (const { bytes, idempotency } of publications) {
			if (idempotency !== undefined) keys.push(this.keys.once(channel, idempotency.key));
			args.push(bytes, idempotency === undefined ? "" : String(Math.floor(idempotency.ttlMs)));
		}
		try {
			const answer = await this.#options.redis.run(publishScript, keys, args, { waitMs: this.#options.waitMs });
			return publishAnswer(answer, publications.length) ?? publications.map(() => unreadable);
		} catch (error) {
			if (!(error instanceof RedisError)) throw error;
			const { kind, message: detail } = error;
			const outcome: PublicationOutcome =
				kind === "interrupted"
					? { outcome: "unacknowledged", reason: "broker", detail: `Redis did not answer; it may have been published (${detail})` }
					: { outcome: "full", reason: "broker", detail };
			return publications.map(() => outcome);
		}
	}

	async history(channel: string, options: HistoryOptions = {}): Promise<History | null> {
		const part = await this.read(channel, options);
		if (part === null) return null;
		const publications: Publication[] = [];
		for (const { offset, bytes } of part.entries) {
			const publication = this.#publicationOf(offset, bytes);
			if (publication !== null) publications.push(publication);
		}
		return { publications, position: part.position };
	}

	async position(channel: string): Promise<Position | null> {
		return (await this.read(channel, { limit: 0 }))?.position ?? null;
	}

	/** As `history`, but with encoded publications. Null = Redis did not answer, or in a way that cannot be read. */
	async read(channel: string, { since, limit = -1, reverse = false }: HistoryOptions): Promise<StreamPart | null> {
		channelList([channel]);
		const args = [
			...this.#common(),
			String(idleMetaTtlMs),
			since?.epoch ?? "",
			since === undefined ? "" : String(since.offset),
			String(Math.max(-1, Math.min(limit, 1_000_000))),
			reverse ? "1" : "0",
		];
		try {
			return readAnswer(
				await this.#options.redis.run(readScript, [this.keys.meta(channel), this.keys.stream(channel)], args, { bytes: true }),
			);
		} catch (error) {
			if (error instanceof RedisError) return null;
			throw error;
		}
	}

	/** Decompresses and decodes a stored publication. Null = damaged, too long, or written by another program or a newer version. */
	decode(bytes: Buffer): StoredPublication | null {
		const plain = unpack(bytes, this.#options.publicationBytesMax);
		return plain === null ? null : decodePublication(plain);
	}

	async removeHistory(channel: string): Promise<boolean> {
		const args = [...this.#common(), String(idleMetaTtlMs), this.keys.topic(channel)];
		try {
			await this.#options.redis.run(removeScript, [this.keys.meta(channel), this.keys.stream(channel)], args);
			return true;
		} catch (error) {
			if (error instanceof RedisError) return false;
			throw error;
		}
	}

	/** Arguments of all scripts: whether servers are trusted, and the epoch to use if the channel needs a new one. */
	#common(): [string, string] {
		if (this.#random.length - this.#randomUsed < 2) {
			randomFillSync(this.#random);
			this.#randomUsed = 0;
		}
		const [first, second] = [this.#random[this.#randomUsed++]!, this.#random[this.#randomUsed++]!];
		return [this.#options.trustsReplicas ? "1" : "0", epochText(first || 1, second)];
	}

	#publicationOf(offset: number, bytes: Buffer): Publication | null {
		const stored = this.decode(bytes);
		if (stored === null) return null;
		const { kind, data, info, tags, delta } = stored;
		return {
			...{ offset, previousOffset: offset - 1, kind, data },
			...(info && { info }),
			...(tags && { tags }),
			...(delta && { delta }),
		};
	}
}

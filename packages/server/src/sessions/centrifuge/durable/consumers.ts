import type { LogReader, Position } from "@shardcast/channel-log";
import type { Channel } from "@shardcast/channels";
import { ErrorCode, type RpcRequest, type SubscribeResult, UnsubscribeCode, unsubscribes } from "@shardcast/protocol";
import type { Counters } from "@shardcast/scoreboard";
import type { DurableChannels } from "../../../durable/durable-channels.ts";
import type { CentrifugeSession } from "../centrifuge-session.ts";
import { fails, type Handle, type Outcome } from "../commands/commands.ts";
import { publicationFor } from "../commands/recovery/recovery.ts";
import { inALaterTurn, waitMsMax } from "../timing/in-a-later-turn.ts";

interface ConsumersParts {
	/** Null = there is no durable store. */
	readonly durable: DurableChannels | null;
	/** Everything it has read has been delivered to this shard's clients. */
	readonly reader: LogReader;
	readonly counters: Pick<Counters, "add">;
	/** Read at each use. */
	readonly config: () => { readonly durableAckTimeoutMs: number; readonly recoveryLimitMax: number };
	/** Monotonic clock, in milliseconds. */
	readonly nowMs: () => number;
	/** Handles all other methods. */
	readonly rpc: Handle<"rpc">;
}

/** A subscription with acknowledgements. */
interface Consumer {
	readonly session: CentrifugeSession;
	readonly channel: string;
	readonly user: string;
	readonly name: string;
	/** The acknowledged offset at the last check. */
	acknowledged: number;
	/** Since when publications wait for an acknowledgement, in milliseconds. */
	sinceMs: number;
	/** When to check next. */
	checkAtMs: number;
	/** When to renew its row in the store: the row must not expire while the consumer is connected, even if nothing is published. */
	renewAtMs: number;
	/** It is still getting older publications and is not subscribed yet. */
	catchesUp: boolean;
}

const nameMatches = /^[-a-zA-Z0-9_.]{1,64}$/;
/** The most publications that a client gets in one turn while it catches up. */
const turnMax = 100;
/** The most that are read from the store at once for the next turns. */
const readMax = 1000;
const turnMs = 5;
const renewMs = 60_000;
/** How often each consumer is checked within its timeout. Checking many of them every second would cost too much. */
const checksPerTimeout = 4;
/** It gets no more while this many bytes wait for it. */
const waitingBytesMax = 65_536;
const badRequest = fails(ErrorCode.badRequest);
const done: Outcome = { rpc: { data: Buffer.from("{}") } };

/**
 * Durable subscriptions. A client that names a consumer when it subscribes gets everything after that consumer's acknowledged position, whatever
 * its own position. It acknowledges by RPC. If it acknowledges nothing for the timeout, it is unsubscribed with 2500: its library subscribes
 * again and gets everything that was not acknowledged. So no list of unacknowledged publications is needed.
 */
export class Consumers {
	readonly #parts: ConsumersParts;
	readonly #consumers = new Map<CentrifugeSession, Map<string, Consumer>>();

	constructor(parts: ConsumersParts) {
		this.#parts = parts;
	}

	/** The consumer that a subscribe request names; null = none. */
	nameIn(channel: Channel, data: Uint8Array): string | null | "invalid" {
		if (!channel.options.durable || data.length === 0) return null;
		const name = consumerIn(data);
		if (name === undefined) return null;
		return typeof name === "string" && nameMatches.test(name) ? name : "invalid";
	}

	/** Whether it is catching up, which counts as being subscribed. */
	catchesUp(session: CentrifugeSession, channel: string): boolean {
		return this.#consumers.get(session)?.get(channel)?.catchesUp === true;
	}

	/** The client has unsubscribed. */
	unsubscribe(session: CentrifugeSession, channel: string): void {
		const consumers = this.#consumers.get(session);
		consumers?.delete(channel);
		if (consumers?.size === 0) this.#consumers.delete(session);
	}

	/**
	 * @param subscribe called in the step in which the client has received all older publications.
	 * @returns the reply, an error, or null on a timeout.
	 */
	async subscribe(
		session: CentrifugeSession,
		channel: Channel,
		name: string,
		recover: boolean,
		subscribe: () => void,
	): Promise<SubscribeResult | ErrorCode | null> {
		const { durable, reader, counters, config, nowMs } = this.#parts;
		if (durable === null) return ErrorCode.notAvailable;
		const { user } = session;
		const { positions } = durable.store;
		try {
			if (!(await durable.ensure(channel.name))) return ErrorCode.tooManyRequests;
			const start = durable.position(channel.name);
			if (start === null) return null;
			const begun = await positions.begin(user, channel.name, name, start, channel.history!.metaTtlMs);
			if (begun === null) return ErrorCode.limitExceeded;
		} catch (error) {
			// The client tries again.
			durable.failed(error);
			return ErrorCode.internal;
		}
		const step = (): SubscribeResult | ErrorCode | null => {
			if (session.isGone) return ErrorCode.internal;
			if (session.subscriptions.has(channel.name) || this.catchesUp(session, channel.name)) return ErrorCode.alreadySubscribed;
			const delivered = durable.position(channel.name, reader);
			const position = positions.of(user, channel.name, name);
			if (delivered === null || position === null) return null;
			const base = { recoverable: true, positioned: true, epoch: delivered.epoch, wasRecovering: recover };
			const consumer: Consumer = {
				...{ session, channel: channel.name, user, name },
				acknowledged: position.offset,
				sinceMs: nowMs(),
				checkAtMs: 0,
				renewAtMs: nowMs() + renewMs,
				catchesUp: false,
			};
			const isOfEpoch = position.epoch === delivered.epoch;
			if (isOfEpoch && position.offset > delivered.offset) return null;
			const missed = isOfEpoch ? durable.between(channel.name, position.offset, delivered, config().recoveryLimitMax) : "gone";
			if (missed === null) return null;
			this.#add(consumer);
			if (missed === "gone") {
				counters.add("durableLost", 1);
				consumer.acknowledged = delivered.offset;
				void positions.jump(user, channel.name, name, delivered).catch(() => {
					// The client is told again when it reconnects.
				});
				subscribe();
				return { ...base, wasRecovering: true, recovered: false, offset: delivered.offset };
			}
			const last = missed.at(-1)?.offset ?? delivered.offset;
			counters.add("recoveredPublications", missed.length);
			if (last === delivered.offset) subscribe();
			else {
				consumer.catchesUp = true;
				this.#later(consumer, last, subscribe);
			}
			const publications = missed.map((each) => publicationFor(session.framing, each));
			return { ...base, recovered: true, offset: position.offset, publications };
		};
		return inALaterTurn(step, waitMsMax);
	}

	/** `shardcast.ack` and `shardcast.forget`. */
	readonly rpc: Handle<"rpc"> = (session, request) => {
		const { durable, rpc } = this.#parts;
		if (durable === null || !request.method.startsWith("shardcast.")) return rpc(session, request);
		if (request.method === "shardcast.ack") return this.#acknowledge(session, durable, request);
		if (request.method === "shardcast.forget") return this.#forget(session, durable, request);
		return fails(ErrorCode.methodNotFound);
	};

	/** Unsubscribes clients that have not acknowledged in time. */
	everySecond(): void {
		const { durable, config, nowMs } = this.#parts;
		if (durable === null) return;
		for (const [session, consumers] of this.#consumers) {
			for (const consumer of consumers.values()) {
				const { channel, user, name } = consumer;
				if (session.isGone || (!consumer.catchesUp && !session.subscriptions.has(channel))) {
					this.unsubscribe(session, channel);
					continue;
				}
				const now = nowMs();
				if (now < consumer.checkAtMs) continue;
				consumer.checkAtMs = now + config().durableAckTimeoutMs / checksPerTimeout;
				if (now >= consumer.renewAtMs) this.#renew(consumer, now);
				const acknowledged = durable.store.positions.of(user, channel, name)?.offset ?? 0;
				const last = durable.position(channel)?.offset ?? 0;
				if (acknowledged !== consumer.acknowledged || acknowledged >= last) {
					consumer.acknowledged = acknowledged;
					consumer.sinceMs = now;
				} else if (now - consumer.sinceMs >= config().durableAckTimeoutMs) this.#timedOut(consumer, durable);
			}
		}
	}

	/** Ends it, unless it has acknowledged something on another node. */
	#timedOut(consumer: Consumer, durable: DurableChannels): void {
		const { channel, user, name } = consumer;
		const decide = (position: Position | null): void => {
			if (!this.#isCurrent(consumer)) return;
			if (position !== null && position.offset !== consumer.acknowledged) {
				consumer.acknowledged = position.offset;
				consumer.sinceMs = this.#parts.nowMs();
				return;
			}
			this.#parts.counters.add("durableRedeliveries", 1);
			this.#end(consumer);
		};
		const position = durable.store.positions.look(user, channel, name);
		// If the store cannot be read, it is asked again at the next check.
		if (position instanceof Promise) position.then(decide, (error: unknown) => durable.failed(error));
		else decide(position);
	}

	#acknowledge(session: CentrifugeSession, durable: DurableChannels, { data }: RpcRequest): Outcome {
		const { channel, consumer: name, offset, epoch } = (parse(data) ?? {}) as Partial<Position> & { channel?: unknown; consumer?: unknown };
		if (typeof channel !== "string" || typeof name !== "string" || typeof epoch !== "string" || !Number.isSafeInteger(offset))
			return badRequest;
		const consumer = this.#consumers.get(session)?.get(channel);
		if (consumer === undefined || consumer.name !== name) return fails(ErrorCode.permissionDenied);
		const last = durable.position(channel)?.offset;
		if (last === undefined || offset! > last) return badRequest;
		const outcome = durable.store.positions.acknowledge(consumer.user, channel, name, { offset: offset!, epoch });
		if (outcome !== "acknowledged") return fails(ErrorCode.unrecoverablePosition);
		this.#parts.counters.add("durableAcknowledgements", 1);
		return done;
	}

	#forget(session: CentrifugeSession, durable: DurableChannels, { data }: RpcRequest): Outcome | Promise<Outcome> {
		const { channel, consumer: name } = (parse(data) ?? {}) as { channel?: unknown; consumer?: unknown };
		if (typeof channel !== "string" || typeof name !== "string" || !nameMatches.test(name)) return badRequest;
		if (Buffer.byteLength(channel) > 255) return badRequest;
		return durable.store.positions.remove(session.user, channel, name).then(
			() => done,
			(error: unknown) => {
				durable.failed(error);
				return fails(ErrorCode.internal);
			},
		);
	}

	#renew(consumer: Consumer, now: number): void {
		const { user, channel, name } = consumer;
		consumer.renewAtMs = now + renewMs;
		const { positions } = this.#parts.durable!.store;
		positions.renew(user, channel, name).catch(() => {
			// One minute.
		});
	}

	#add(consumer: Consumer): void {
		const consumers = this.#consumers.get(consumer.session) ?? new Map<string, Consumer>();
		consumers.set(consumer.channel, consumer);
		this.#consumers.set(consumer.session, consumers);
	}

	#isCurrent(consumer: Consumer): boolean {
		return !consumer.session.isGone && this.#consumers.get(consumer.session)?.get(consumer.channel) === consumer;
	}

	#end({ session, channel }: Consumer): void {
		this.unsubscribe(session, channel);
		if (session.subscriptions.has(channel)) session.endSubscription(channel, unsubscribes[UnsubscribeCode.insufficientState]);
		else session.push({ channel, unsubscribe: unsubscribes[UnsubscribeCode.insufficientState] });
	}

	#later(consumer: Consumer, sent: number, subscribe: () => void): void {
		setTimeout(() => this.#catchUp(consumer, sent, subscribe), turnMs);
	}

	/** Sends the next publications as fast as the client reads. Subscribes it in the step that finds no more. */
	#catchUp(consumer: Consumer, sent: number, subscribe: () => void): void {
		if (!this.#isCurrent(consumer)) return;
		const { durable, reader, counters } = this.#parts;
		const { session, channel } = consumer;
		const delivered = durable!.position(channel, reader);
		if (delivered === null || session.transport.getBufferedAmount() > waitingBytesMax) {
			this.#later(consumer, sent, subscribe);
			return;
		}
		const next = durable!.between(channel, sent, delivered, turnMax, readMax);
		if (next === null) {
			this.#later(consumer, sent, subscribe);
			return;
		}
		// Publications that it had not acknowledged have left the history while the client read.
		if (next === "gone") {
			this.#end(consumer);
			return;
		}
		for (const each of next) session.push({ channel, pub: publicationFor(session.framing, each) });
		counters.add("recoveredPublications", next.length);
		const last = next.at(-1)?.offset ?? sent;
		if (last < delivered.offset) this.#later(consumer, last, subscribe);
		else {
			consumer.catchesUp = false;
			subscribe();
		}
	}
}

/** The data of a client may be anything. */
function parse(data: Uint8Array): unknown {
	try {
		const value: unknown = JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.length).toString());
		return typeof value === "object" ? value : null;
	} catch {
		return null;
	}
}

function consumerIn(data: Uint8Array): unknown {
	return (parse(data) as { readonly consumer?: unknown } | null)?.consumer;
}

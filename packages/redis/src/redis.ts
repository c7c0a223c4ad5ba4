import { redisAddressText } from "@shardcast/config";
import type { Log } from "@shardcast/telemetry";
import { type Argument, type Connection, type MessageListener, openConnection, retryMs } from "./connection.ts";
import { RedisCounts } from "./redis-counts.ts";
import { RedisError, type RedisErrorKind } from "./redis-error.ts";
import type { RedisOptions } from "./redis-options.ts";
import type { Script } from "./script.ts";
import { SentCommands } from "./sent-commands.ts";
import { readServerInfo, type ServerInfo } from "./server-info.ts";
import { Subscriptions } from "./subscriptions.ts";
import { WaitingCommands } from "./waiting-commands.ts";

export interface SendOptions {
	/** Return strings in the reply as Buffers. */
	readonly bytes?: boolean;
	/** How long the command may wait while Redis cannot be reached, in milliseconds. With 0, the default, it fails at once. */
	readonly waitMs?: number;
}

export type Outcome = { readonly value: unknown } | { readonly error: RedisError };

/** How often waiting and sent commands are checked for timeouts. */
const checkEveryMs = 100;
/** Delay before another attempt to restore subscriptions. */
const restoreEveryMs = 500;
/** Minimum interval between lines in the log about refused subscriptions. */
const warnEveryMs = 60_000;
const why = (error: RedisError): string => (error.kind === "login" ? `it refuses the login: ${error.message}` : error.message);
/** Servers with and without TLS do not understand each other, and do not say so: one waits for more, the other hangs up. */
function tlsHint(tls: boolean, reason: string): string {
	if (tls) return /no answer|timeout|EPROTO|wrong version/i.test(reason) ? "; if this port has no TLS, write redis://" : "";
	return /ECONNRESET|closed/i.test(reason) ? "; if this port has TLS, write rediss://" : "";
}

/**
 * A client for Redis 7 or later, a Redis Cluster, or Valkey: commands, scripts and subscriptions. It reconnects until `close`. Commands of one turn
 * of the event loop are sent in one write. One owner; used on one thread.
 *
 * A command waits at most `waitMs` while Redis cannot be reached, plus `answerTimeoutMs` for the reply. It is never sent twice.
 */
export class Redis {
	/** The address without credentials, for messages. */
	readonly where: string;
	readonly counts = new RedisCounts();
	readonly #options: RedisOptions;
	readonly #log: Pick<Log, "info" | "warn">;
	readonly #waiting: WaitingCommands;
	readonly #sent = new SentCommands();
	readonly #subscriptions: Subscriptions;
	readonly #listeners = new Set<() => void>();
	#connection: Connection | null = null;
	#state: "connecting" | "ready" | "closed" = "connecting";
	#server: ServerInfo | null = null;
	#lastError: RedisError | null = null;
	/** When the connection was lost, by `performance.now()`. */
	#lostMs = performance.now();
	#wasReady = false;
	#timer: NodeJS.Timeout | undefined;
	#retry: NodeJS.Timeout | undefined;
	#restoring: NodeJS.Timeout | undefined;
	#attempt = 0;
	/** When the last line about a refused subscription was logged, by `performance.now()`. */
	#refusedMs = Number.NEGATIVE_INFINITY;

	constructor(options: RedisOptions, log: Pick<Log, "info" | "warn">) {
		this.#options = options;
		this.#log = log;
		this.where = redisAddressText(options.address);
		this.#waiting = new WaitingCommands(options.waitingMax);
		this.#subscriptions = new Subscriptions(options.connectTimeoutMs + options.answerTimeoutMs);
	}

	get state(): "connecting" | "ready" | "closed" {
		return this.#state;
	}

	/** Null until the first successful connection. */
	get server(): ServerInfo | null {
		return this.#server;
	}

	/** Why Redis cannot be reached; null while it can. */
	get problem(): string | null {
		return this.#state === "ready" ? null : (this.#lastError?.message ?? "not connected yet");
	}

	/** Number of commands waiting to be sent. */
	get waiting(): number {
		return this.#waiting.size;
	}

	/** Number of subscriptions, whether confirmed or not. */
	get subscriptions(): number {
		return this.#subscriptions.size;
	}

	/** Starts connecting. Call once. @throws when a certificate cannot be read. */
	open(): this {
		this.#timer = setInterval(() => this.#checkTimeouts(), checkEveryMs).unref();
		this.#connect();
		return this;
	}

	/**
	 * Resolves when Redis is connected. It keeps connecting in the background in any case, until `close`.
	 * @throws RedisError with a message for the user when the deadline passes, or at once when waiting does not help: wrong credentials, or a server
	 * that is too old.
	 */
	async ready(deadlineMs: number): Promise<ServerInfo> {
		const endsMs = performance.now() + deadlineMs;
		return new Promise((resolve, reject) => {
			const look = () => {
				if (this.#state === "ready" && this.#server !== null) return end(() => resolve(this.#server!));
				const error = this.#lastError;
				const inVain = error?.kind === "login" || error?.kind === "unsuitable" || this.#state === "closed";
				if (!inVain && performance.now() < endsMs) return;
				const reason = error === null ? `no answer within ${deadlineMs} ms` : why(error);
				const hint = inVain ? "" : tlsHint(this.#options.address.tls, reason);
				end(() => reject(new RedisError(error?.kind ?? "unavailable", `cannot use Redis at ${this.where}: ${reason}${hint}`)));
			};
			const timer = setInterval(look, 10);
			const end = (settle: () => void) => {
				clearInterval(timer);
				settle();
			};
			look();
		});
	}

	/**
	 * Sends a command. Not for blocking commands.
	 * @param key the key by which a Redis Cluster chooses the server; null = any server.
	 * @throws RedisError
	 */
	send(key: string | null, args: readonly Argument[], { bytes = false, waitMs = 0 }: SendOptions = {}): Promise<unknown> {
		return new Promise((resolve, reject) => {
			const endsMs = performance.now() + waitMs;
			const fail = (error: RedisError) => {
				this.counts.failed[countedAs(error.kind)]++;
				reject(error);
			};
			const wait = (error: RedisError) => {
				if (this.#state === "closed") return fail(closed());
				if (waitMs === 0 || performance.now() >= endsMs) return fail(error);
				if (!this.#waiting.add({ endsMs, run, giveUp: () => fail(this.#state === "closed" ? closed() : this.#unavailable()) }))
					fail(new RedisError("full", `${this.#waiting.size} commands wait for Redis already`));
			};
			const run = () => this.#now(key, args, bytes, resolve, (error) => (error.kind === "unavailable" ? wait(error) : fail(error)));
			// Waiting commands go first, to keep the order.
			if (this.#state === "ready" && this.#waiting.size === 0) run();
			else wait(this.#unavailable());
		});
	}

	/** Sends all commands in one write, and resolves when each has a reply. Not a transaction: commands of other clients may run in between. */
	pipeline(
		commands: readonly { readonly key: string | null; readonly args: readonly Argument[] }[],
		options?: SendOptions,
	): Promise<Outcome[]> {
		const outcome = (value: unknown): Outcome => ({ value });
		return Promise.all(
			commands.map(({ key, args }) => this.send(key, args, options).then(outcome, (error: RedisError): Outcome => ({ error }))),
		);
	}

	/** Runs a script. In a Redis Cluster all keys must be in one slot: use a hash tag, such as {name}. @throws RedisError */
	async run(script: Script, keys: readonly string[], args: readonly Argument[], options?: SendOptions): Promise<unknown> {
		const rest = [String(keys.length), ...keys, ...args];
		try {
			return await this.send(keys[0] ?? null, ["EVALSHA", script.sha, ...rest], options);
		} catch (error) {
			// At the first use, and after a restart of Redis.
			if (!(error instanceof RedisError && error.kind === "refused" && error.message.startsWith("NOSCRIPT"))) throw error;
			return this.send(keys[0] ?? null, ["EVAL", script.text, ...rest], options);
		}
	}

	/**
	 * Receives the messages of a channel until `unsubscribe`, on a connection separate from that of the commands. Resolves when Redis has confirmed it.
	 * If that fails or takes too long, the promise rejects, but the subscription is retried. After a reconnect it is restored; messages in between are
	 * lost, see `onRestored`.
	 * @param sharded use SSUBSCRIBE, for messages sent with SPUBLISH.
	 */
	async subscribe(channel: string, listener: MessageListener, { sharded = false }: { readonly sharded?: boolean } = {}): Promise<void> {
		const counted: MessageListener = (message) => {
			this.counts.messages++;
			listener(message);
		};
		const subscription = this.#subscriptions.add(channel, sharded, counted);
		const connection = this.#connection;
		if (this.#state !== "ready" || connection === null) throw this.#unavailable();
		try {
			await this.#subscriptions.send(connection, subscription);
		} catch (error) {
			this.#warnOfRefusal(error as RedisError);
			if (this.#connection === connection) this.#restoreLater(connection);
			throw error;
		}
	}

	async unsubscribe(channel: string): Promise<void> {
		const found = this.#subscriptions.remove(channel);
		if (found?.sent != null) await this.#connection?.unsubscribe(channel, found.sharded);
	}

	/**
	 * Calls back after each connect, including the first, once all subscriptions are in place. Messages published in between were missed. May be called
	 * more often than needed.
	 * @returns a function that removes the listener.
	 */
	onRestored(listener: () => void): () => void {
		this.#listeners.add(listener);
		return () => this.#listeners.delete(listener);
	}

	/** Closes all connections at once. Waiting commands fail. */
	close(): void {
		if (this.#state === "closed") return;
		this.#state = "closed";
		clearInterval(this.#timer);
		clearTimeout(this.#retry);
		clearTimeout(this.#restoring);
		this.#waiting.giveUp();
		this.#connection?.destroy();
		this.#sent.giveUpBefore(Number.POSITIVE_INFINITY);
	}

	#connect(): void {
		const connection: Connection = openConnection(this.#options, {
			onReady: () => this.#connection === connection && void this.#check(connection),
			onLost: (error) => this.#connection === connection && this.#onLost(error),
			onError: (error) => {
				if (this.#connection === connection && this.#state !== "ready") this.#onLost(error);
			},
		});
		this.#connection = connection;
		connection.connect().catch((error: RedisError) => {
			if (this.#connection === connection) this.#connectAgain(error);
		});
	}

	/** Replaces all connections. */
	#connectAgain(error: RedisError): void {
		this.#onLost(error);
		this.#connection?.destroy();
		this.#connection = null;
		this.#subscriptions.reset();
		if (this.#state === "closed") return;
		this.#retry = setTimeout(() => this.#connect(), retryMs(this.#attempt++));
	}

	/** Checks whether the connected server can be used. */
	async #check(connection: Connection): Promise<void> {
		try {
			this.#server = readServerInfo(await connection.info(), this.#options.address.isCluster);
		} catch (error) {
			if (this.#connection === connection) this.#connectAgain(error as RedisError);
			return;
		}
		if (this.#connection !== connection || this.#state === "closed") return;
		if (this.#state !== "ready" && this.#wasReady) {
			const lostMs = Math.round(performance.now() - this.#lostMs);
			this.#log.info({ redis: this.where, lostMs }, `Redis is reached again after ${(lostMs / 1000).toFixed(1)} s`);
		}
		this.#wasReady = true;
		this.#state = "ready";
		this.#attempt = 0;
		this.#lastError = null;
		this.#waiting.runAll();
		await this.#restore(connection);
	}

	async #restore(connection: Connection): Promise<void> {
		try {
			await this.#subscriptions.sendAll(connection, this.#options.address.isCluster);
		} catch (error) {
			this.#warnOfRefusal(error as RedisError);
			this.#restoreLater(connection);
			return;
		}
		if (this.#connection === connection && this.#state === "ready") for (const listener of this.#listeners) listener();
	}

	/** Redis can be reached, and nobody hears what is published: the only sign of that is this line. */
	#warnOfRefusal({ kind, message }: RedisError): void {
		const nowMs = performance.now();
		if ((kind !== "login" && kind !== "refused") || nowMs - this.#refusedMs < warnEveryMs) return;
		this.#refusedMs = nowMs;
		this.#log.warn({ redis: this.where, problem: message }, `Redis refuses a subscription: ${message}; trying again`);
	}

	/** For example, a server of a cluster is being replaced. If the connection is lost meanwhile, the next one restores the subscriptions. */
	#restoreLater(connection: Connection): void {
		clearTimeout(this.#restoring);
		this.#restoring = setTimeout(() => this.#connection === connection && void this.#restore(connection), restoreEveryMs).unref();
	}

	#onLost(error: RedisError): void {
		this.#lastError = error;
		if (this.#state !== "ready") return;
		this.#state = "connecting";
		this.#lostMs = performance.now();
		this.counts.lost++;
		this.#log.warn({ redis: this.where, problem: error.message }, `Redis is not reached: ${why(error)}; trying again`);
	}

	#now(
		key: string | null,
		args: readonly Argument[],
		bytes: boolean,
		resolve: (value: unknown) => void,
		fail: (error: RedisError) => void,
	): void {
		const sentMs = performance.now();
		const connection = this.#connection!;
		const command = {
			sentMs,
			done: false,
			giveUp: () => {
				command.done = true;
				const what = this.#state === "closed" ? "the client was closed before" : `no answer within ${this.#options.answerTimeoutMs} ms to`;
				fail(new RedisError("interrupted", `${what} ${String(args[0])}; it may have been carried out`));
			},
		};
		this.#sent.add(command);
		const answered = () => this.counts.onAnswer(performance.now() - sentMs);
		connection.send(key, args, bytes).then(
			(value) => {
				if (command.done) return;
				command.done = true;
				answered();
				resolve(value);
			},
			(error: RedisError) => {
				if (command.done) return;
				command.done = true;
				if (error.kind === "refused") answered();
				fail(error);
				// The address may lead to another server now, which is the master.
				const isReplica = error.message.startsWith("READONLY") && !this.#options.address.isCluster;
				if (isReplica && this.#connection === connection) this.#connectAgain(error);
			},
		);
	}

	#checkTimeouts(): void {
		const nowMs = performance.now();
		this.#waiting.giveUp(nowMs);
		const { answerTimeoutMs } = this.#options;
		if (this.#sent.giveUpBefore(nowMs - answerTimeoutMs))
			this.#connectAgain(new RedisError("interrupted", `no answer within ${answerTimeoutMs} ms`));
		// The library does not report when one server of a cluster is back or was replaced, so try the waiting commands again.
		else if (this.#state === "ready" && this.#waiting.size > 0) this.#waiting.runAll();
	}

	#unavailable(): RedisError {
		return new RedisError("unavailable", `Redis at ${this.where} is not reached: ${this.problem ?? "it is not ready"}`);
	}
}

function closed(): RedisError {
	return new RedisError("closed", "the client of Redis has been closed");
}

function countedAs(kind: RedisErrorKind): Exclude<RedisErrorKind, "login" | "unsuitable"> {
	return kind === "login" || kind === "unsuitable" ? "refused" : kind;
}

import type { Config } from "@shardcast/config";
import { disconnectQuestion, type RevocationStore, revokeQuestion } from "@shardcast/control";
import { StartupError, withDeadline } from "@shardcast/process";
import { Redis, type RedisError } from "@shardcast/redis";
import type { Log } from "@shardcast/telemetry";
import { readRequest } from "../control/control-messages.ts";
import { nodeKeysOf, redisOptionsOf } from "../redis-from-config.ts";
import { KnownPosition } from "./known-position.ts";
import { SharedRevocations } from "./shared-revocations.ts";

interface FollowedOrdersParts {
	/** With an address of Redis. */
	readonly config: Config;
	/** The list of this program. */
	readonly kept: RevocationStore;
	/** Carries out an order on its clients: one of `revokeQuestion` or `disconnectQuestion`. */
	readonly carryOut: (question: string, request: unknown) => Promise<number>;
	readonly log: Log;
}

/** How often the list is compared with the one in Redis, if no order was heard. */
const lookEveryMs = 1000;

/**
 * What nodes order about users, for a program that is none of them, such as a gateway: it has the list of blocked users and revoked tokens in Redis, as a
 * node has, and hears the orders that close connections. Nobody waits for its answer. **One per program.**
 */
export class FollowedOrders {
	readonly revocations: SharedRevocations;
	readonly #parts: FollowedOrdersParts;
	readonly #redis: Redis;

	/** @throws when a certificate for Redis cannot be read. */
	constructor(parts: FollowedOrdersParts) {
		const { config, kept, carryOut, log } = parts;
		this.#parts = parts;
		this.#redis = new Redis(redisOptionsOf(config, "shardcast:gateway")!, log);
		this.revocations = new SharedRevocations({
			redis: this.#redis,
			keys: nodeKeysOf(config),
			kept,
			known: new KnownPosition(""),
			apply: (change) => carryOut(revokeQuestion.name, change),
			everyMs: lookEveryMs,
			log,
		});
	}

	/** Resolves when the list is there, or Redis was not reached in time: then it keeps trying. @throws StartupError when Redis refuses it. */
	async start(): Promise<void> {
		const { config, log } = this.#parts;
		this.#redis.open();
		try {
			await this.#redis.ready(config.redisConnectTimeoutMs);
		} catch (error) {
			const { kind, message } = error as RedisError;
			if (kind === "login" || kind === "unsuitable") {
				this.#redis.close();
				throw new StartupError(`--redis-url: ${message}`, { flag: "--redis-url", cause: error });
			}
		}
		const heard = this.#redis.subscribe(nodeKeysOf(config).control, (message) => this.#onOrder(message), { sharded: true });
		await this.revocations.start(0);
		// Listening comes first: an order to close a client that comes right after the start would be lost. It is retried when Redis can be reached; until
		// then the regular looks notice changes of the list.
		const known = heard.catch(() => undefined).then(() => this.revocations.catchUp());
		await withDeadline(known, config.redisTimeoutMs, "reading the list").catch((error: Error) => {
			log.warn(`blocked users and revoked tokens are not known yet: ${error.message}; until then they are let in`);
		});
	}

	stop(): void {
		this.revocations.stop();
		this.#redis.close();
	}

	#onOrder(message: Buffer): void {
		let ended: Promise<number>;
		try {
			const { question, request } = readRequest(message);
			if (question === revokeQuestion.name) ended = this.revocations.catchUp();
			else if (question === disconnectQuestion.name) ended = this.#parts.carryOut(question, disconnectQuestion.acrossNodes!.check(request));
			else return;
		} catch (error) {
			this.#parts.log.warn(`an order of another node cannot be read: ${(error as Error).message}`);
			return;
		}
		ended.catch((error: Error) => this.#parts.log.warn(`an order of another node was not carried out: ${error.message}`));
	}
}

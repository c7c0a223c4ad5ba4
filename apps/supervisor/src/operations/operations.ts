import { setTimeout as pause } from "node:timers/promises";
import { type Config, formatDuration } from "@shardcast/config";
import { type ClusterEvent, offloadQuestion } from "@shardcast/control";
import { until } from "@shardcast/process";
import type { Log } from "@shardcast/telemetry";
import { toldPerSecond } from "@shardcast/wire";
import type { SupervisedChild } from "../children/supervised-child.ts";
import { drainShard } from "./drain.ts";
import type { OperatedShard } from "./operated-shard.ts";
import {
	clientsText,
	type DrainResult,
	type OnProgress,
	OperationAborted,
	type OperationName,
	type OperationProgress,
	OperationRefused,
	type RebalanceResult,
	type RestartResult,
	type RollingRestartResult,
	type ScaleResult,
	type UndrainResult,
} from "./operation.ts";
import { rebalanceShards } from "./rebalance-shards.ts";

export interface DrainOptions {
	/** Clients per second that may reconnect; `--drain-rate` if not given. */
	readonly rate?: number;
	/** `--shutdown-timeout` if not given, or the time that the rate takes if that is more. */
	readonly timeoutMs?: number;
	/** Also if the other shards have no room for its clients. */
	readonly force?: boolean;
	readonly onProgress?: OnProgress;
}

export interface RebalanceOptions {
	/** Clients per second that may connect again; `--rebalance-rate` if not given. */
	readonly rate?: number;
	readonly onProgress?: OnProgress;
}

interface OperationsParts {
	/** All shards, by slot. */
	readonly shards: () => readonly OperatedShard[];
	/** How many clients remote shards have through the balancer; it tells so once a second. */
	readonly remoteClients: () => number;
	/** Why a shard could not be added in this slot; null = it could. */
	readonly shardProblem: (slot: number) => Promise<string | null>;
	/** Adds a shard after the others, whose process does not run yet. @throws Error when shared memory has no room. */
	readonly addShard: () => OperatedShard;
	/** Whether nothing that belongs to a shard whose process has ended is on its way any more. */
	readonly isDone: (slot: number) => boolean;
	/** Removes the last shard, whose process has ended. */
	readonly removeShard: () => void;
	readonly balancer: Pick<SupervisedChild, "warmUp" | "coolDown" | "replace" | "version">;
	readonly mode: "handoff" | "proxy";
	/** Why this cluster cannot be operated; null = it can. */
	readonly unsupported: string | null;
	readonly isServing: () => boolean;
	readonly config: () => Config;
	/** Called when it has changed which shards take clients. */
	readonly onTakers: () => void;
	/** Asks so many clients of each shard to connect again, spread over a second. Resolves with how many were asked. */
	readonly move: (bySlot: Readonly<Record<string, number>>) => Promise<number>;
	readonly version: string;
	/** How long an operation waits for a shard that has not reported for a moment, or starts again. */
	readonly lateMs?: number;
	readonly log: Log;
	/** Adds an event to the console. */
	readonly tell: (level: ClusterEvent["level"], text: string) => void;
}

/** The operation in progress. */
export interface RunningOperation extends OperationProgress {
	/** Milliseconds since 1970. */
	readonly startedAt: number;
}

interface Running {
	readonly name: OperationName;
	/** Milliseconds since 1970. */
	readonly startedAt: number;
	/** The shard that it is about now. */
	slot: number | null;
	readonly abort: AbortController;
	progress: OperationProgress;
	readonly onProgress: OnProgress | undefined;
}

/** Beyond the time that the rate takes. */
const timeoutFactor = 2;
/** Between two shards: so many of the clients are back, or so much time has passed. */
const settledShare = 0.98;
const settleMsMax = 10_000;
/** Meanwhile, it tells so often how many are back. */
const tellEveryMs = 1000;
/** Between two attempts to tell a shard something. */
const retryMs = 50;
/** The longest time that one attempt takes. */
const orderMsMax = offloadQuestion.deadlineMs;
/** Beyond `--heartbeat-timeout`, for what is still on its way when a shard has ended. */
const doneMsMax = 5000;
/** A shard without a heartbeat for 0.8 s takes no clients. On a busy machine all may be late at once. */
const lateMsDefault = 3000;

/**
 * Operations on a cluster that runs. One at a time: a second one is refused, except that `undrain` ends the drain of its shard. A stop of the cluster ends
 * whatever runs. One per supervisor.
 */
export class Operations {
	readonly #parts: OperationsParts;
	#running: Running | null = null;

	constructor(parts: OperationsParts) {
		this.#parts = parts;
	}

	/** The operation in progress; null = none. */
	get running(): RunningOperation | null {
		return this.#running === null ? null : { ...this.#running.progress, startedAt: this.#running.startedAt };
	}

	/** Ends the operation in progress, which rejects with OperationAborted, or resolves with what it has done so far. */
	end(reason: string): void {
		this.#running?.abort.abort(reason);
	}

	/** Drains a shard: it gets no new clients, and those that it has are told to reconnect, until `undrain`. */
	drain(slot: number, options: DrainOptions = {}): Promise<DrainResult> {
		return this.#run("drain", options.onProgress, async (running) => {
			const shard = this.#shard(slot);
			// From now on `undrain` ends it.
			running.slot = slot;
			await this.#mayLeave(running, shard, options);
			return this.#drain(running, shard, options);
		});
	}

	/** The shard takes clients again. If its drain is in progress, it ends. */
	async undrain(slot: number): Promise<UndrainResult> {
		const current = this.#running;
		const endsDrain = current?.name === "drain" && current.slot === slot;
		if (endsDrain) {
			current.abort.abort("it was ended by undrain");
			await until(() => this.#running !== current, orderMsMax + doneMsMax);
		}
		const { changed } = await this.#run("undrain", undefined, (running) => this.#undrain(running, slot));
		return { shard: slot, changed: changed || endsDrain };
	}

	/** Replaces the process of a shard, which may be of another version then. Its clients are told to reconnect first. */
	restart(slot: number, options: DrainOptions = {}): Promise<RestartResult> {
		return this.#run("restart", options.onProgress, async (running) => {
			const shard = this.#shard(slot);
			if (shard.serving) await this.#mayLeave(running, shard, options);
			return this.#restart(running, shard, options);
		});
	}

	/**
	 * Replaces the processes of all shards, one after the other, and then that of the balancer, whose listening socket stays open. Ends when a new process does not
	 * serve. The supervisor keeps its code.
	 */
	rollingRestart(options: DrainOptions = {}): Promise<RollingRestartResult> {
		return this.#run("rolling restart", options.onProgress, async (running) => {
			const beganMs = performance.now();
			// A drained shard stays so when it is replaced: what must end on the way is refused at once.
			for (const shard of this.#parts.shards())
				if (shard.serving && this.#othersAreDrained(shard)) await this.#mayLeave(running, shard, options);
			const shards: RestartResult[] = [];
			// A shard may also die before and after its turn.
			const lost = this.#parts.shards().map((shard) => shard.lost);
			const lostOutside = lost.map(() => 0);
			const addLost = () =>
				this.#parts.shards().forEach((shard, at) => {
					lostOutside[at]! += shard.lost - lost[at]!;
					lost[at] = shard.lost;
				});
			for (const [at, shard] of this.#parts.shards().entries()) {
				// Once something has changed, it is no refusal.
				if (shard.serving) await this.#mayLeave(running, shard, options, shards.length > 0);
				const clients = this.#clients();
				addLost();
				const result = await this.#restart(running, shard, options);
				shards.push(result);
				lost[at] = shard.lost;
				await this.#settle(running, clients, result);
			}
			const balancer = await this.#restartBalancer(running);
			const rebalance = this.#parts.config().rebalanceShards ? await this.#rebalance(running, {}) : null;
			addLost();
			const tookMs = Math.round(performance.now() - beganMs);
			const all = shards.map((result, at) => ({ ...result, lost: result.lost + lostOutside[at]! }));
			return { shards: all, balancer, supervisor: this.#parts.version, tookMs, ...(rebalance !== null && { rebalance }) };
		});
	}

	/**
	 * Adds shards, and moves clients to them; or drains the last ones, ends their processes and removes them. Channels and history stay, and the partitions of Kafka
	 * go to the shards that there are then. If it ends early, the shards that were added or removed until then stay so.
	 */
	scale(count: number, options: DrainOptions = {}): Promise<ScaleResult> {
		return this.#run("scale", options.onProgress, async (running) => {
			if (!(Number.isInteger(count) && count >= 1)) throw new OperationRefused("invalid", `${count} shards; give a whole number from 1`);
			const beganMs = performance.now();
			const { shards, config } = this.#parts;
			const before = shards().length;
			const done = { moved: 0, cutOff: 0 };
			let ended: string | undefined;
			let rebalance: RebalanceResult | null = null;
			try {
				if (count > before) await this.#addShards(running, count);
				while (shards().length > count) await this.#removeShard(running, options, done, shards().length < before);
				if (count > before && config().rebalanceShards) rebalance = await this.#rebalance(running, {});
			} catch (error) {
				if (!(error instanceof OperationAborted) || shards().length === before) throw error;
				ended = error.message;
			}
			const tookMs = Math.round(performance.now() - beganMs);
			return {
				...{ before, after: shards().length, ...done, tookMs },
				...(rebalance !== null && { rebalance }),
				...(ended !== undefined && { ended }),
			};
		});
	}

	/** Asks clients of the fullest shards to connect again, until no shard has more than 5 % above its share. The balancer gives them to the others. */
	rebalance(options: RebalanceOptions = {}): Promise<RebalanceResult> {
		return this.#run("rebalance", options.onProgress, (running) => {
			checkRate(options.rate);
			return this.#rebalance(running, options);
		});
	}

	#rebalance(running: Running, { rate }: RebalanceOptions): Promise<RebalanceResult> {
		running.slot = null;
		const { shards, config, move } = this.#parts;
		return rebalanceShards({
			clients: () =>
				new Map(
					shards()
						.filter(({ takesClients }) => takesClients)
						.map(({ slot, clients }) => [slot, clients]),
				),
			rate: () => rate ?? config().rebalanceRate,
			move,
			signal: running.abort.signal,
			onProgress: (moved, left) => this.#progress(running, `${clientsText(left)} too many on the fullest shards`, moved, left),
			// A cluster that stops may be gone in less than a second, and with it whoever tells how far this came.
			pause: (ms) => pause(ms, undefined, { signal: running.abort.signal }).catch(() => undefined),
		});
	}

	async #drain(running: Running, shard: OperatedShard, options: DrainOptions): Promise<DrainResult> {
		running.slot = shard.slot;
		const { config, onTakers } = this.#parts;
		const { drainRate, shutdownTimeoutMs } = config();
		const rate = options.rate ?? null;
		const rateMs = (timeoutFactor * 1000 * shard.clients) / toldPerSecond(rate ?? drainRate);
		const drained = drainShard({
			shard,
			rate,
			timeoutMs: options.timeoutMs ?? Math.max(shutdownTimeoutMs, rateMs),
			signal: running.abort.signal,
			onProgress: (moved, left) => this.#progress(running, `${shard.name}: ${clientsText(left)} left`, moved, left),
			pause,
		});
		onTakers();
		return drained;
	}

	async #undrain(running: Running, slot: number): Promise<UndrainResult> {
		const shard = this.#shard(slot);
		if (!shard.isDrained) return { shard: slot, changed: false };
		if (!(await this.#soon(running, () => shard.serving)))
			throw new OperationRefused(
				"not_possible",
				`${shard.name} does not run now; start it with "restart ${slot}", which also ends its drain`,
			);
		await this.#takeClients(shard);
		return { shard: slot, changed: true };
	}

	async #takeClients(shard: OperatedShard): Promise<void> {
		shard.isDrained = false;
		this.#parts.onTakers();
		const deadlineMs = performance.now() + this.#parts.config().heartbeatTimeoutMs;
		// One that dies now is started without being drained, and one that hangs is killed by then.
		for (let attempt = 1; shard.serving; attempt++) {
			try {
				await shard.offload({ on: false, rate: null });
				return;
			} catch (error) {
				// One attempt alone may take longer than that.
				if (performance.now() >= deadlineMs && attempt > 1)
					throw new OperationAborted(`${shard.name} was not told that it takes clients again: ${(error as Error).message}`);
				await pause(retryMs);
			}
		}
	}

	async #restart(running: Running, shard: OperatedShard, options: DrainOptions): Promise<RestartResult> {
		running.slot = shard.slot;
		const { signal } = running.abort;
		const { slot, name, version: from, lost } = shard;
		// One that is down was drained by the restart that failed.
		const wasDrained = shard.isDrained && !shard.isDown;
		const staysDrained = `; ${name} stays drained until "undrain ${slot}"`;
		const { config } = this.#parts;
		this.#progress(running, `${name}: loading the installed version`, 0, shard.clients);
		await shard.warmUp().catch((error: Error) => {
			this.#goOnUnlessStopping(signal);
			throw new OperationAborted(`${error.message}; ${name} runs as before`);
		});
		try {
			this.#goOn(signal);
			// Loading has taken a while.
			if (shard.serving) await this.#mayLeave(running, shard, options, true);
			const lostBefore = shard.lost - lost;
			const drained = await this.#drain(running, shard, options);
			this.#goOn(signal, staysDrained);
			this.#progress(running, `${name}: starting the new process`, drained.moved, drained.left);
			const { drained: ended, problem } = await shard.replace(config().shutdownTimeoutMs);
			this.#goOnUnlessStopping(signal);
			if (problem !== null)
				throw new OperationAborted(`${problem}. The other shards run as before. Install a version that works, then "restart ${slot}"`);
			this.#goOn(signal, staysDrained);
			if (!wasDrained) await this.#takeClients(shard);
			await until(() => wasDrained || shard.takesClients || signal.aborted, config().readyTimeoutMs);
			this.#goOn(signal);
			if (!wasDrained && !shard.takesClients) throw new OperationAborted(`the new process of ${name} does not take clients; see its log`);
			const cutOff = Math.max(drained.left, ended?.cutOff ?? 0);
			return { ...drained, left: 0, lost: lostBefore + drained.lost, cutOff, from, to: shard.version };
		} finally {
			shard.coolDown();
		}
	}

	async #addShards(running: Running, count: number): Promise<void> {
		const { signal } = running.abort;
		const { shards, shardProblem, addShard, removeShard, onTakers, mode, config } = this.#parts;
		const before = shards().length;
		for (let slot = before; slot < count; slot++) {
			const problem = await shardProblem(slot);
			if (problem !== null) throw new OperationRefused("not_possible", problem);
		}
		this.#goOn(signal);
		const added: OperatedShard[] = [];
		const remove = (from: number): void => {
			for (let last = shards().length - 1; last >= from; last--) removeShard();
			onTakers();
		};
		try {
			while (shards().length < count) added.push(addShard());
		} catch (error) {
			remove(before);
			throw new OperationRefused("not_possible", `shared memory has no room for ${count} shards: ${(error as Error).message}`);
		}
		try {
			// Only a balancer that was started after the sockets of the shards can take back what a dead one has not received.
			if (mode === "handoff") await this.#restartBalancer(running);
		} catch (error) {
			remove(before);
			throw error;
		}
		for (const shard of added) {
			const { slot, name } = shard;
			running.slot = slot;
			this.#progress(running, `${name}: starting`, 0, 0);
			const isEnded = signal.aborted;
			const problem = isEnded ? String(signal.reason) : (await shard.replace(config().shutdownTimeoutMs)).problem;
			this.#goOnUnlessStopping(signal);
			if (problem !== null) {
				remove(slot);
				throw new OperationAborted(`${problem}; there are ${slot} shards now`, isEnded);
			}
			// One that dies now is started again, and takes clients then.
			await this.#takeClients(shard).catch(() => undefined);
			await until(() => shard.takesClients || signal.aborted, config().readyTimeoutMs);
			if (shard.takesClients || signal.aborted) continue;
			remove(slot + 1);
			throw new OperationAborted(`${name} does not take clients; see its log; there are ${slot + 1} shards now`);
		}
		this.#goOn(signal);
	}

	/** The last one. */
	async #removeShard(running: Running, options: DrainOptions, done: { moved: number; cutOff: number }, hasChanged: boolean): Promise<void> {
		const { signal } = running.abort;
		const { shards, config, isDone, isServing, removeShard, onTakers } = this.#parts;
		const shard = shards().at(-1)!;
		if (shard.serving) await this.#mayLeave(running, shard, options, hasChanged);
		const { moved, left, lost } = await this.#drain(running, shard, options);
		done.moved += moved;
		done.cutOff += lost;
		if (signal.aborted) {
			if (isServing()) await this.#takeClients(shard);
			this.#goOn(signal);
		}
		this.#progress(running, `${shard.name}: ending its process`, moved, shard.clients);
		const { cutOff } = await shard.drain(config().shutdownTimeoutMs);
		done.cutOff += Math.max(left, cutOff);
		// Who cancels does not want to lose it. Longer than that, only a shard that hangs has not read it, and such a shard is killed.
		await until(() => isDone(shard.slot) || (signal.aborted && !isServing()), config().heartbeatTimeoutMs + doneMsMax);
		removeShard();
		onTakers();
		this.#goOn(signal);
	}

	/** Waits until the clients that were moved are back, so that those of two shards are never away at the same time. Some may not come back at all. */
	async #settle(running: Running, clients: number, { shard, moved }: RestartResult): Promise<void> {
		const { signal } = running.abort;
		const what = `waiting up to ${formatDuration(settleMsMax)} until the shards have ${settledShare * 100} % of their clients again`;
		let toldMs = Number.NEGATIVE_INFINITY;
		const isSettled = () => {
			const back = this.#clients();
			if (back >= clients * settledShare) return true;
			const nowMs = performance.now();
			if (nowMs - toldMs >= tellEveryMs) {
				toldMs = nowMs;
				this.#progress(running, `shard ${shard}: the new process serves; ${what}: ${back} of ${clients}`, moved, 0);
			}
			return false;
		};
		await until(() => signal.aborted || isSettled(), settleMsMax);
		this.#goOn(signal);
	}

	/** Including those on remote shards, where clients of this machine may go. */
	#clients(): number {
		const { shards, remoteClients } = this.#parts;
		return shards().reduce((sum, { clients }) => sum + clients, remoteClients());
	}

	async #restartBalancer(running: Running): Promise<RollingRestartResult["balancer"]> {
		const { balancer, mode, config } = this.#parts;
		running.slot = null;
		const from = balancer.version;
		if (mode === "proxy") {
			const why = "in proxy mode it carries the connections of all clients; it keeps its code until the cluster is restarted";
			return { restarted: false, from, to: from, why };
		}
		this.#progress(running, "balancer: starting the new process", 0, 0);
		await balancer.warmUp().catch((error: Error) => {
			this.#goOnUnlessStopping(running.abort.signal);
			throw new OperationAborted(`${error.message}; the balancer runs as before`);
		});
		try {
			this.#goOn(running.abort.signal);
			let { problem } = await balancer.replace(config().shutdownTimeoutMs);
			// One more attempt, since without a balancer nobody can connect: the first one may have been killed.
			if (problem !== null && this.#parts.isServing()) ({ problem } = await balancer.replace(config().shutdownTimeoutMs));
			this.#goOnUnlessStopping(running.abort.signal);
			if (problem !== null) throw new OperationAborted(`${problem}; no new client can connect`);
			this.#goOn(running.abort.signal);
			return { restarted: true, from, to: balancer.version };
		} finally {
			balancer.coolDown();
		}
	}

	#shard(slot: number): OperatedShard {
		const shards = this.#parts.shards();
		const shard = shards.find((each) => each.slot === slot);
		if (shard !== undefined) return shard;
		const known = shards.map((each) => each.slot).join(", ");
		throw new OperationRefused("not_found", `there is no shard ${slot}; the shards are ${known}`);
	}

	/** Waits for something that takes a moment on a busy machine. False = it has not happened. */
	async #soon({ abort: { signal } }: Running, condition: () => boolean): Promise<boolean> {
		await until(() => condition() || signal.aborted, this.#parts.lateMs ?? lateMsDefault);
		this.#goOn(signal);
		return condition();
	}

	/**
	 * Remote shards do not count: publishing, HTTP streams and the console need a shard of this machine.
	 * @throws OperationRefused when no other shard of this machine takes clients, or they have no room for those of this one.
	 */
	async #mayLeave(
		running: Running,
		shard: OperatedShard,
		{ force = false, rate, timeoutMs }: DrainOptions,
		isLater = false,
	): Promise<void> {
		const refuse = (code: OperationRefused["code"], why: string): never => {
			throw isLater ? new OperationAborted(why) : new OperationRefused(code, why);
		};
		checkRate(rate);
		if (timeoutMs !== undefined && !(timeoutMs > 0)) refuse("invalid", `the time limit is ${timeoutMs} ms; it must be more than 0`);
		const others = this.#parts.shards().filter((each) => each !== shard);
		const takers = () => others.filter((each) => each.takesClients);
		const room = () => takers().reduce((sum, each) => sum + each.room, 0) + this.#roomBySpreading(shard, takers());
		const fits = () => takers().length > 0 && (force || room() >= shard.clients);
		const isLate = (each: OperatedShard) => each.serving && !each.isDrained && !each.takesClients;
		await this.#soon(running, () => fits() || !others.some(isLate));
		if (fits()) return;
		const hasRemote = this.#parts.config().remoteShards.length > 0;
		const here = hasRemote ? " of this machine" : "";
		const why = hasRemote
			? "and one must: publishing, HTTP streams and the console do not go to remote shards"
			: "so its clients would have nowhere to go";
		if (takers().length === 0)
			refuse("not_possible", `no shard${here} but ${shard.slot} takes clients now, ${why}; ${this.#wayOut(shard)}`);
		const fix = "raise --max-connections, wait until fewer are connected, or give --force";
		refuse("not_possible", `the other shards${here} have room for ${room()} of the ${shard.clients} clients of ${shard.name}; ${fix}`);
	}

	#othersAreDrained(shard: OperatedShard): boolean {
		return this.#parts.shards().every((each) => each === shard || (each.serving && each.isDrained));
	}

	/** What would let its clients leave, when no other shard takes any. */
	#wayOut(shard: OperatedShard): string {
		const others = this.#parts.shards().filter((each) => each !== shard);
		if (others.length === 0) return "add a shard with `shardcast scale 2`";
		const drained = others.find(({ isDrained }) => isDrained);
		if (drained !== undefined) return `shard ${drained.slot} is drained: \`shardcast undrain ${drained.slot}\``;
		return `wait until shard ${others[0]!.slot} serves; \`shardcast status\` and the log say why it does not`;
	}

	/** While a shard is drained, the others get its share of `--max-connections`. */
	#roomBySpreading(shard: OperatedShard, others: readonly OperatedShard[]): number {
		return shard.isDrained || others.length === 0 ? 0 : shard.clients + shard.room;
	}

	/** @param state what people should know who cancel it now. */
	#goOn(signal: AbortSignal, state = ""): void {
		if (signal.aborted) throw new OperationAborted(`${String(signal.reason)}${this.#parts.isServing() ? state : ""}`, true);
	}

	/** When the cluster stops, it is no problem that a process was not loaded or started. Who cancels should know of it. */
	#goOnUnlessStopping(signal: AbortSignal): void {
		if (!this.#parts.isServing()) this.#goOn(signal);
	}

	#progress(running: Running, text: string, moved: number, left: number): void {
		running.progress = { operation: running.name, text, moved, left };
		running.onProgress?.(running.progress);
	}

	async #run<Result>(
		name: OperationName,
		onProgress: OnProgress | undefined,
		carryOut: (running: Running) => Promise<Result>,
	): Promise<Result> {
		const { unsupported, isServing, log, tell, onTakers } = this.#parts;
		if (unsupported !== null) throw new OperationRefused("not_possible", unsupported);
		if (!isServing()) throw new OperationRefused("not_possible", "the cluster does not serve: it is starting or stopping");
		if (this.#running !== null)
			throw new OperationRefused("busy", `another operation is in progress: ${this.#running.name} (${this.#running.progress.text})`);
		const running: Running = {
			name,
			startedAt: Date.now(),
			slot: null,
			abort: new AbortController(),
			progress: { operation: name, text: "begun", moved: 0, left: 0 },
			onProgress,
		};
		this.#running = running;
		try {
			const result = await carryOut(running);
			log.info({ result }, `${name}: done`);
			tell("info", `${name}: done`);
			return result;
		} catch (error) {
			const { message } = error as Error;
			if (error instanceof OperationAborted && error.isWanted) {
				log.warn(`${name}: ${message}`);
				tell("warn", `${name}: ${message}`);
			} else if (!(error instanceof OperationRefused)) {
				log.error({ error }, `${name}: ${message}`);
				tell("bad", `${name}: ${message}`);
			}
			throw error;
		} finally {
			this.#running = null;
			onTakers();
		}
	}
}

/** @throws OperationRefused when it is not a rate. */
function checkRate(rate: number | undefined): void {
	if (rate !== undefined && !(Number.isInteger(rate) && rate >= 1))
		throw new OperationRefused("invalid", `the rate is ${rate}; it must be a whole number of clients per second, from 1`);
}

import { setTimeout as sleep } from "node:timers/promises";
import { ClusterState } from "@shardcast/bus";
import { type Config, connectionsPerShard, Deadline, type Log, type StartMessage, type StartupError } from "@shardcast/service";
import { monotonicMs } from "@shardcast/wire";
import { launch, type Pinning } from "./children/launch.ts";
import { RestartPolicy } from "./children/restart-policy.ts";
import { type ChildDrained, SupervisedChild } from "./children/supervised-child.ts";
import type { ClusterMemory } from "./cluster-memory.ts";
import type { Topology } from "./topology.ts";

export interface SupervisorOptions {
	readonly config: Config;
	readonly topology: Topology;
	readonly mode: "handoff" | "proxy";
	readonly memory: ClusterMemory;
	readonly log: Log;
	/** Paths of the programs. */
	readonly entries: { readonly shard: string; readonly balancer: string };
	/** How a process is pinned; `core` is null for the balancer, which may run on any. */
	readonly pin: (core: number | null) => Pinning;
}

export interface Ended {
	readonly status: number;
	/** What forced the end; null when it was asked for. */
	readonly failure: StartupError | null;
}

/** How often hung children are looked for; a quarter of the time-out when that is shorter. */
const watchEveryMsMax = 1000;
/** How often a stop looks whether the balancer has closed its listener. */
const pollMs = 5;
/** Part of the time for the stop that the balancer may take before the shards are told. */
const balancerShare = 0.25;

/**
 * Runs one cluster: starts the balancer and the shards, keeps them alive, stops them in order. `start` once, then `stop` or `kill`
 * at any time; `finished` tells how it ended.
 */
export class Supervisor {
	readonly #options: SupervisorOptions;
	readonly #shards: readonly SupervisedChild[];
	readonly #balancer: SupervisedChild;
	readonly #waitingForReady = new Set<SupervisedChild>();
	readonly #ready = withResolvers<boolean>();
	readonly #finished = withResolvers<Ended>();
	#balancerPort: number | undefined;
	#watch: NodeJS.Timeout | undefined;
	#failure: StartupError | null = null;
	#ending: "no" | "draining" | "killing" = "no";

	constructor(options: SupervisorOptions) {
		this.#options = options;
		this.#shards = options.topology.shards.map(({ slot, core }) => this.#shard(slot, core));
		this.#balancer = this.#makeBalancer();
	}

	/** True once every child serves; false when the cluster ends before. */
	get ready(): Promise<boolean> {
		return this.#ready.promise;
	}

	/** Resolves once everything has ended and been cleared away. */
	get finished(): Promise<Ended> {
		return this.#finished.promise;
	}

	/** The port that the balancer really listens on; undefined until it is ready. */
	get balancerPort(): number | undefined {
		return this.#balancerPort;
	}

	start(): void {
		const children = [...this.#shards, this.#balancer];
		for (const child of children) this.#waitingForReady.add(child);
		for (const child of children) child.start();
		this.#startWatch();
	}

	/**
	 * Stops in order: the balancer takes nobody new, then the shards drain beside each other, then the shared memory goes. All within
	 * `--shutdown-timeout`, and no longer than needed.
	 */
	async stop(reason: string): Promise<void> {
		if (this.#ending !== "no") return;
		this.#ending = "draining";
		const { config, memory, mode, log } = this.#options;
		const beganMs = performance.now();
		const deadline = new Deadline(config.shutdownTimeoutMs);
		log.info(
			{ connections: memory.connections(), timeoutMs: config.shutdownTimeoutMs },
			`shutting down: ${reason}; ${memory.connections()} connections on ${this.#shards.length} shards`,
		);
		memory.state = ClusterState.stopping;
		clearInterval(this.#watch);

		const firstStepMs = deadline.leftMs() * balancerShare;
		const balancerDrained = this.#balancer.drain(mode === "handoff" ? firstStepMs : deadline.leftMs());
		await this.#listenerClosed(balancerDrained, firstStepMs);
		const shardsDrained = this.#shards.map((shard) => shard.drain(deadline.leftMs()));
		const outcomes = await Promise.all([balancerDrained, ...shardsDrained]);
		if (this.#ending !== "draining") return;
		this.#conclude(outcomes, performance.now() - beganMs);
	}

	/** Kills everything at once; what was under way is lost. */
	async kill(reason: string): Promise<void> {
		if (this.#ending === "killing") return;
		this.#options.log.warn(`forced to stop: ${reason}; killing all processes`);
		await this.#killAll(1);
	}

	#conclude(outcomes: readonly ChildDrained[], tookMs: number): void {
		const { log } = this.#options;
		const cutOff = outcomes.reduce((sum, outcome) => sum + outcome.cutOff, 0);
		const details = outcomes.flatMap((outcome) => outcome.detail ?? []);
		const fields = { cutOff, details, tookMs: Math.round(tookMs) };
		const took = `${(tookMs / 1000).toFixed(1)} s`;
		if (cutOff === 0) log.info(fields, `shutdown complete: nothing was cut off, ${took}`);
		else log.warn(fields, `shutdown complete: ${cutOff} cut off, ${took}`);
		this.#end(cutOff === 0 ? 0 : 1);
	}

	async #killAll(status: number): Promise<void> {
		this.#ending = "killing";
		clearInterval(this.#watch);
		await Promise.all([...this.#shards, this.#balancer].map((child) => child.kill()));
		this.#end(status);
	}

	/** No child is left. */
	#end(status: number): void {
		this.#options.memory.remove();
		this.#ready.resolve(false);
		this.#finished.resolve({ status: this.#failure?.exitStatus ?? status, failure: this.#failure });
	}

	/**
	 * In proxy mode the balancer goes on carrying its connections until the shards have closed them, so there only its listener is waited
	 * for; in handoff mode it has handed everything over when it has drained.
	 */
	async #listenerClosed(drained: Promise<unknown>, deadlineMs: number): Promise<void> {
		const over = { yes: false };
		void drained.then(() => {
			over.yes = true;
		});
		const deadline = new Deadline(deadlineMs);
		while (!over.yes && deadline.leftMs() > 0) {
			if (this.#options.mode === "proxy" && this.#options.memory.balancerDrains) return;
			await sleep(pollMs);
		}
	}

	#onReady(child: SupervisedChild): void {
		this.#waitingForReady.delete(child);
		if (this.#waitingForReady.size > 0 || this.#ending !== "no") return;
		this.#options.memory.state = ClusterState.serving;
		this.#ready.resolve(true);
	}

	/** A cluster that serves is stopped in order, for its clients' sake; one that never did has none. */
	#onFailure(error: StartupError): void {
		this.#failure ??= error;
		if (this.#ending !== "no") return;
		void (this.#waitingForReady.size === 0 ? this.stop(error.message) : this.#killAll(error.exitStatus));
	}

	/** Members come and go: a restarted shard has a new socket, and is read anew. */
	#announceMembership(): void {
		for (const child of [...this.#shards, this.#balancer]) child.send({ type: "membership" });
	}

	#shard(slot: number, core: number): SupervisedChild {
		const { config, memory } = this.#options;
		const pinning = this.#options.pin(core);
		const connectionsMax = connectionsPerShard(config, this.#options.topology.shards.length);
		const child: SupervisedChild = new SupervisedChild(
			{
				...this.#common(`shard ${slot}`),
				launch: () => launch(this.#options.entries.shard, pinning),
				prepare: (incarnation, pid) => {
					const pinned = pinning.kind === "none" ? null : core;
					memory.shardStarts(slot, { incarnation, pid, core: pinned, port: config.basePort + slot, connectionsMax });
					return this.#startMessage({ role: "shard", slot, incarnation, core: pinned, connectionsMax });
				},
				lastBeatMs: () => memory.shardBeatMs(slot),
				onReady: () => {
					this.#onReady(child);
					this.#announceMembership();
				},
				onDeath: () => {
					memory.shardDied(slot);
					this.#announceMembership();
				},
			},
			this.#options.log,
		);
		return child;
	}

	#makeBalancer(): SupervisedChild {
		const { config, memory } = this.#options;
		const child: SupervisedChild = new SupervisedChild(
			{
				...this.#common("balancer"),
				launch: () => launch(this.#options.entries.balancer, this.#options.pin(null)),
				prepare: (incarnation) => {
					memory.balancerStarts(incarnation);
					return this.#startMessage({ role: "balancer", slot: -1, incarnation, core: null, connectionsMax: config.maxConnections });
				},
				lastBeatMs: () => memory.balancerBeatMs(),
				onReady: (port) => {
					this.#balancerPort = port;
					this.#onReady(child);
				},
				onDeath: () => memory.balancerDied(),
			},
			this.#options.log,
		);
		return child;
	}

	#common(name: string) {
		const { config } = this.#options;
		return {
			name,
			readyTimeoutMs: config.readyTimeoutMs,
			heartbeatTimeoutMs: config.heartbeatTimeoutMs,
			policy: new RestartPolicy(config),
			onFailure: (error: StartupError) => this.#onFailure(error),
		};
	}

	#startMessage(own: Pick<StartMessage, "role" | "slot" | "incarnation" | "core" | "connectionsMax">): StartMessage {
		const { config, memory, mode, topology } = this.#options;
		return { type: "start", ...own, cluster: memory.path, config, mode, shardsTotal: topology.shards.length };
	}

	/**
	 * A look that comes late says that this process, and so probably the machine, stood still: children have not had the time to beat
	 * either, so they are given until the next look.
	 */
	#startWatch(): void {
		const everyMs = Math.min(watchEveryMsMax, this.#options.config.heartbeatTimeoutMs / 4);
		let lookedMs = monotonicMs();
		this.#watch = setInterval(() => {
			const nowMs = monotonicMs();
			const late = nowMs - lookedMs > 2 * everyMs;
			lookedMs = nowMs;
			if (late) return;
			for (const child of [...this.#shards, this.#balancer]) child.checkHeartbeat(nowMs);
		}, everyMs);
	}
}

function withResolvers<T>(): { promise: Promise<T>; resolve(value: T): void } {
	let resolve!: (value: T) => void;
	const promise = new Promise<T>((settle) => {
		resolve = settle;
	});
	return { promise, resolve };
}

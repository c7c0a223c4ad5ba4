import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import {
	type Certificate,
	type Config,
	connectionsPerShard,
	countsConnections,
	formatDuration,
	parseAddress,
	stopDelayMs,
} from "@shardcast/config";
import {
	type AdminSocketReading,
	type Ask,
	type AskedProcess,
	adminOperationMetrics,
	adminQuestion,
	adminSocketMetrics,
	answerCluster,
	backendListMetrics,
	type ClusterEvent,
	EventLog,
	type GatewayReading,
	gatewayQuestion,
	historyMetrics,
	moveClientsQuestion,
	noCertificateReloads,
	noReloads,
	postgresRevocationMetrics,
	Questions,
	type ReloadCounts,
	RevocationStore,
	reloadMetrics,
	remoteShardsQuestion,
	revokeQuestion,
	type ShardCountReading,
	shardCountMetrics,
	sharedRevocationMetrics,
	tlsMetrics,
	webhookMetrics,
} from "@shardcast/control";
import { GuardWatch, machineMeasures } from "@shardcast/guards";
import type { AdminAnswer, AdminCall } from "@shardcast/http";
import { FollowedOrders, ThisNode } from "@shardcast/nodes";
import { checkPostgres, openRevocations } from "@shardcast/postgres";
import { availableCpus, Deadline, type StartupError, until } from "@shardcast/process";
import { ClusterState, type RemoteShardHealth } from "@shardcast/scoreboard";
import { openWebhookBackend } from "@shardcast/server/webhooks";
import { type Log, ProcessMetrics } from "@shardcast/telemetry";
import { Webhooks } from "@shardcast/webhooks";
import type { AdminService } from "./admin/admin-service.ts";
import { BoardWatch } from "./board-watch.ts";
import { balancerName, balancerSpec, type ChildHooks, type ClusterFacts, shardSpec } from "./children/child-specs.ts";
import { type ChildDrained, SupervisedChild } from "./children/supervised-child.ts";
import { Watchdog } from "./children/watchdog.ts";
import { counted } from "./counted.ts";
import { BoardShard } from "./operations/operated-shard.ts";
import { Operations } from "./operations/operations.ts";
import { RebalanceAfterCrash } from "./operations/rebalance-after-crash.ts";
import { portProblem } from "./preflight/ports.ts";
import { coreOf, cpusNow } from "./topology.ts";
import { version } from "./version.ts";

export interface Ended {
	readonly status: number;
	/** The error that forced the end; null if the stop was requested. */
	readonly failure: StartupError | null;
}

/** Share of the stop's time for the balancer, before the shards drain. */
const balancerShare = 0.25;

/** A process that holds the lock of a log for longer is killed. */
const lockHeldMsMax = 1000;

/**
 * Runs a cluster: starts the balancer and the shards, keeps them alive, and stops them in order. Call `start` once, then `stop` or `kill` at any
 * time. `finished` resolves with the outcome.
 */
export class Supervisor {
	readonly #facts: ClusterFacts;
	readonly #log: Log;
	readonly #shards: SupervisedChild[];
	readonly #balancer: SupervisedChild;
	readonly #hooks: ChildHooks;
	readonly #watchdog: Watchdog;
	readonly #questions: Questions;
	readonly #metrics: ProcessMetrics;
	/** Number of reloads by result. */
	readonly reloads: ReloadCounts = noReloads();
	readonly certificateReloads = noCertificateReloads();
	readonly #events = new EventLog();
	/** Shards of other machines, as the balancer last told. */
	#remotes: readonly RemoteShardHealth[] = [];
	readonly #boardWatch: BoardWatch;
	/** What people can do to the cluster while it runs. */
	readonly operations: Operations;
	readonly #afterCrash: RebalanceAfterCrash;
	readonly #operated: BoardShard[];
	/** Null in a gateway, which has no guards. */
	readonly #guards: GuardWatch | null;
	readonly #webhooks: Webhooks;
	readonly #revocations: RevocationStore;
	/** Null where it works alone. */
	readonly #node: ThisNode | null;
	/** What other nodes order, in a gateway, which is none; null = it has no Redis, or this is no gateway. */
	readonly #followed: FollowedOrders | null;
	/** Names of children that were never ready. */
	readonly #awaited: Set<string>;
	readonly #ready = withResolvers<boolean>();
	readonly #finished = withResolvers<Ended>();
	/** Settles when the processes have answered the last certificates. */
	#certificatesSet: Promise<void> = Promise.resolve();
	#balancerPort: number | undefined;
	/** Null in a gateway. */
	#scaling: () => ShardCountReading | null = () => null;
	/** What was told last about connections that are not counted by address and user. */
	#uncounted: string | null = null;
	#failure: StartupError | null = null;
	/** `announced`: /ready answers 503, and everything else continues for `--drain-delay`. */
	#ending: "no" | "announced" | "draining" | "killing" = "no";
	readonly #stopping = new AbortController();
	/** Aborted to end the delay early. */
	readonly #drainDelay = new AbortController();

	constructor(facts: ClusterFacts, log: Log) {
		this.#facts = facts;
		this.#log = log;
		const own = new ProcessMetrics("supervisor");
		own.addReading(reloadMetrics, () => this.reloads);
		own.addReading(tlsMetrics, () => ({ certificates: facts.certificates, reloads: this.certificateReloads }));
		const { gateway, workers } = facts;
		const { logs } = facts.memory;
		if (logs !== null) own.addReading(historyMetrics, () => ({ ...logs.counts(), fill: logs.fill() }));
		this.#webhooks = new Webhooks({
			config: facts.config,
			open: openWebhookBackend,
			readers: () => facts.memory.eventReaders(),
			log,
			tell: (level, text) => this.#events.add(level, text),
			newStream: randomUUID,
		});
		if (gateway === null) own.addReading(webhookMetrics, () => this.#webhooks.readings());
		else own.addReading(backendListMetrics, () => gateway);
		this.#questions = new Questions({
			processes: () => this.#children.filter(({ serving }) => serving).map(asked),
			nodes: () => this.#node?.control ?? null,
			log,
		});
		const { redisAddress, durableStorePath: folder } = facts.config;
		const database = openRevocations(facts.config, log);
		// Several nodes share one list, so the node writes it.
		const isShared = redisAddress !== undefined;
		const advice = gateway === null ? undefined : "a gateway does not keep them; block again what has to be blocked after a restart";
		const revocations = new RevocationStore({ folder, database: isShared ? null : database, isShared, log, ...(advice && { advice }) });
		this.#revocations = revocations;
		if (database !== null) own.addReading(postgresRevocationMetrics, () => database.reading());
		answerCluster({
			questions: this.#questions,
			board: () => facts.memory.reading(),
			own,
			workers,
			events: this.#events,
			revocations: () => (this.#node ?? this.#followed)?.revocations ?? revocations,
			nodes: () => this.#node?.nodes() ?? null,
			remotes: () => this.remotes,
			scaling: () => this.#scaling(),
			orders: () => this.#node?.orders ?? null,
			sessions: async (requests) => this.#node?.sessions.assign(requests) ?? [],
			nodesNow: async () => (await this.#node?.nodesNow()) ?? null,
		});
		this.#questions.add(remoteShardsQuestion, (_, { request: { states, events } }) => {
			this.#remotes = states;
			for (const { level, text } of events) this.#events.add(level, text);
			return null;
		});
		if (gateway !== null) this.#questions.add(gatewayQuestion, (parts) => gateway.report(parts));
		this.#metrics = own;
		const { board } = facts.memory;
		const questions = this.#questions;
		this.#followed =
			gateway === null || !isShared
				? null
				: new FollowedOrders({
						config: facts.config,
						kept: revocations,
						carryOut: async (question, request) => {
							const ended = (await this.#questions.partsForNode(question, request)) as readonly number[];
							return ended.reduce((sum, each) => sum + each, 0);
						},
						log,
					});
		if (this.#followed !== null) {
			const shared = this.#followed.revocations;
			own.addReading(sharedRevocationMetrics, () => ({ ...shared.counts, pending: shared.pending }));
		}
		this.#node =
			gateway !== null
				? null
				: ThisNode.create({
						config: facts.config,
						version,
						board,
						metrics: own,
						log,
						console: this.#events,
						onReport: (report) => this.#webhooks.nodeChanged(report),
						questions,
						revocations,
						database,
						stop: (strategy) => void this.stop("a failover was ordered", strategy),
					});
		const hooks: ChildHooks = {
			onReady: (name, port) => this.#onReady(name, port),
			onFailure: (error) => this.#onFailure(error),
			onMembership: () => this.#announceMembership(),
			onSilent: (name, silent) => this.#onSilent(name, silent),
			onNotReloaded: (name, problem) => this.#onNotReloaded(name, problem),
			onDeath: (name) => this.#onDeath(name),
			onShardServes: (slot) => {
				gateway?.processServes(slot);
				this.#afterCrash.serves(slot);
			},
			onShardGone: (slot, isPlanned) => {
				if (!isPlanned) this.#afterCrash.died(slot);
				this.#webhooks.shardDied(slot);
				// While all stop, nobody takes over what the first to end has had.
				if (this.#ending === "no" || this.#ending === "announced") gateway?.processDied(slot);
			},
			answer: (question, request) => this.#questions.answer(question, request),
		};
		this.#shards = facts.topology.shards.map(({ slot, core }) => new SupervisedChild(shardSpec(facts, hooks, slot, core), log));
		this.#balancer = new SupervisedChild(balancerSpec(facts, hooks), log);
		this.#hooks = hooks;
		this.#operated = facts.topology.shards.map(({ slot }, at) => new BoardShard(slot, this.#shards[at]!, board.row(slot)));
		this.operations = new Operations({
			shards: () => this.#operated,
			remoteClients: () => this.#remoteConnections,
			shardProblem: (slot) => this.#shardProblem(slot),
			addShard: () => this.#addShard(),
			isDone: (slot) => facts.memory.isDone(slot),
			removeShard: () => this.#removeShard(),
			balancer: this.#balancer,
			mode: facts.mode,
			unsupported: gateway === null ? null : "this is a gateway, whose processes cannot be drained or restarted one by one",
			isServing: () => this.#ending === "no" && this.#awaited.size === 0,
			config: () => this.config,
			onTakers: () => this.#limitShards(),
			move: (bySlot) => questions.ask(moveClientsQuestion, { bySlot }),
			version,
			log,
			tell: (level, text) => this.#events.add(level, text),
		});
		this.#afterCrash = new RebalanceAfterCrash({
			isOn: () => gateway === null && this.config.rebalanceShards,
			isServing: (slot) => this.#operated.some((shard) => shard.slot === slot && shard.serving),
			rebalance: () => this.operations.rebalance(),
			log,
		});
		this.#awaited = new Set(this.#children.map(({ name }) => name));
		const { heartbeatTimeoutMs } = facts.config;
		this.#watchdog = new Watchdog({ children: this.#children, heartbeatTimeoutMs, onLook: (passedMs) => this.#checkLocks(passedMs) });
		this.#boardWatch = new BoardWatch(facts.memory.board, this.#events, { name: workers });
		this.#guards = workers === "gateway" ? null : this.#guardWatch();
	}

	get #children(): readonly SupervisedChild[] {
		return [...this.#shards, this.#balancer];
	}

	/** Resolves with true when every child serves, with false if the cluster ends before that. */
	get ready(): Promise<boolean> {
		return this.#ready.promise;
	}

	/** Resolves when all processes have ended and their files are removed. */
	get finished(): Promise<Ended> {
		return this.#finished.promise;
	}

	/** The balancer's actual port; undefined until it is ready. */
	get balancerPort(): number | undefined {
		return this.#balancerPort;
	}

	/** Puts a question to all processes. */
	readonly ask: Ask = (question, request) => this.#questions.ask(question, request);

	/** Before `start`: lets processes put calls of the admin interface to it. */
	useAdmin({ handle, counts }: Pick<AdminService, "handle" | "counts">, socket: AdminSocketReading): void {
		this.#questions.add(adminQuestion<AdminCall, AdminAnswer>(), (_, { request }) => handle(request));
		this.#metrics.addReading(adminOperationMetrics, () => counts);
		this.#metrics.addReading(adminSocketMetrics, () => socket);
	}

	/** Before `start`: adds how many shards there should be to the metrics and the console. */
	useScaling(read: () => ShardCountReading): void {
		this.#scaling = read;
		this.#metrics.addReading(shardCountMetrics, read);
	}

	/** The latest events, oldest first. */
	get events(): readonly ClusterEvent[] {
		return this.#events.events;
	}

	/** Shards of other machines; none while there is no balancer that asks them. */
	get remotes(): readonly RemoteShardHealth[] {
		return this.#balancer.serving ? this.#remotes : [];
	}

	/** Those to remote shards, through the balancer. */
	get #remoteConnections(): number {
		return this.remotes.reduce((sum, { open }) => sum + open, 0);
	}

	/** Aborted when it begins to stop: then it takes no more orders. */
	get stopSignal(): AbortSignal {
		return this.#stopping.signal;
	}

	/** What the processes of a gateway report together. A late one is left out. Rejects while they stop. */
	async gatewayReport(): Promise<GatewayReading> {
		if (this.#ending === "draining" || this.#ending === "killing") throw new Error("the gateway is stopping");
		return this.#questions.ask(gatewayQuestion, null);
	}

	get shardCount(): number {
		return this.#shards.length;
	}

	/** The current options. */
	get config(): Config {
		return this.#facts.config;
	}

	/**
	 * Before `start`: brings the tables in PostgreSQL up to date, and joins the other machines, where there is Redis.
	 * @throws StartupError when it may not.
	 */
	async join(): Promise<void> {
		const { config } = this.#facts;
		await checkPostgres(config, this.#log);
		await this.#revocations.start(config.postgresConnectTimeoutMs, () => {
			void this.#questions.partsForNode(revokeQuestion.name, "all").catch(() => undefined);
		});
		await this.#node?.join();
		await this.#followed?.start();
		await this.#facts.gateway?.start((backends) => {
			for (const shard of this.#shards) shard.renew({ type: "backends", backends });
		});
	}

	start(): void {
		if (this.#ending !== "no") return;
		for (const child of this.#children) child.start();
		this.#watchdog.start();
		this.#boardWatch.start();
		this.#guards?.start();
	}

	#guardWatch(): GuardWatch {
		const { config, memory } = this.#facts;
		const ownCpuMs = () => {
			const { user, system } = process.cpuUsage();
			return (user + system) / 1000;
		};
		return new GuardWatch({
			...{ board: memory.board, config, log: this.#log },
			measures: machineMeasures({ folder: memory.path, ownCpuMs }),
			tell: (level, text) => this.#events.add(level, text),
		});
	}

	/**
	 * Applies the live options to all processes, and to those that start later.
	 * @throws NativeError when there is not enough shared memory for them, or Error when a gateway would have no backends; nothing has changed then.
	 */
	reload(config: Config): void {
		if (this.#ending !== "no") return;
		this.#facts.gateway?.check(config);
		if (countsConnections(config)) this.#facts.memory.countAddresses(config.maxConnections);
		// Before the shards write.
		this.#webhooks.reload(config);
		this.#facts.config = config;
		this.#log.level = config.logLevel;
		this.#watchdog.heartbeatTimeoutMs = config.heartbeatTimeoutMs;
		this.#guards?.reload(config);
		this.#limitShards();
		this.#facts.gateway?.reload(config);
		for (const child of this.#children) child.renew({ type: "config", config });
	}

	/**
	 * Sets the certificates for new connections, in all processes and in those that start later. Calls are carried out one after the other.
	 * Rejects when a process does not use them: then all use the old ones.
	 */
	useCertificates(certificates: readonly Certificate[]): Promise<void> {
		const set = (): Promise<void> => this.#setCertificates(certificates);
		const outcome = this.#certificatesSet.then(set, set);
		this.#certificatesSet = outcome;
		return outcome;
	}

	async #setCertificates(certificates: readonly Certificate[]): Promise<void> {
		if (this.#ending !== "no") return;
		const before = this.#facts.certificates;
		const refusals = await this.#giveCertificates(certificates);
		if (refusals.length === 0) return;
		// A process that is started again must not meet certificates that it cannot use.
		await this.#giveCertificates(before);
		throw new Error(refusals.join("; "));
	}

	/** @returns why processes do not use them. */
	async #giveCertificates(certificates: readonly Certificate[]): Promise<readonly string[]> {
		this.#facts.certificates = certificates;
		const refusals = await Promise.all(this.#children.map((child) => child.useCertificates(certificates)));
		return refusals.filter((refusal) => refusal !== null);
	}

	/** Why a shard in this slot, the next one, could not be started; null = it could. */
	async #shardProblem(slot: number): Promise<string | null> {
		const { config, memory } = this.#facts;
		if (slot >= memory.board.slotsMax) return `a cluster has ${memory.board.slotsMax} shards at most`;
		const { host, basePort, lbAddr } = config;
		const port = basePort + slot;
		if (port > 65_535) return `shard ${slot} would have port ${port}; choose a lower --base-port at the next start`;
		if (port === parseAddress(lbAddr).port)
			return `port ${port} of shard ${slot} is the balancer's; choose another --base-port at the next start`;
		const problem = await portProblem({ host, port });
		return problem === null ? null : `shard ${slot}: ${problem}`;
	}

	/** Its process does not run yet. @throws NativeError when shared memory has no room for it. */
	#addShard(): BoardShard {
		const { memory, topology, config } = this.#facts;
		const slot = memory.addShard();
		const core = coreOf(topology, cpusNow(topology, config, availableCpus().cpus), slot);
		const child = new SupervisedChild(shardSpec(this.#facts, this.#hooks, slot, core), this.#log);
		const shard = new BoardShard(slot, child, memory.board.row(slot));
		this.#shards.push(child);
		this.#operated.push(shard);
		this.#watchdog.watch(child);
		this.#webhooks.shardAdded(slot);
		this.#announceMembership();
		return shard;
	}

	/** The one with the highest slot, whose process has ended. */
	#removeShard(): void {
		if (this.#ending !== "no") return;
		this.#watchdog.forget(this.#shards.pop()!);
		const { slot } = this.#operated.pop()!;
		this.#webhooks.shardRemoved(slot);
		this.#facts.memory.removeShard(slot);
		this.#announceMembership();
	}

	/** Divides `--max-connections` by the shards that take clients: while one is drained, the others may have its share. */
	#limitShards(): void {
		const { memory } = this.#facts;
		const perShard = connectionsPerShard(this.config, memory.takers);
		memory.limitShards(perShard);
		const uncounted = countsConnections(this.config) ? memory.uncounted(perShard) : null;
		if (uncounted !== null && uncounted !== this.#uncounted) {
			this.#log.warn(uncounted);
			this.tell("warn", uncounted);
		}
		this.#uncounted = uncounted;
	}

	/** Makes the shards load the route module again. */
	reloadRoute(): void {
		if (this.#ending === "no") for (const shard of this.#shards) shard.send({ type: "reloadRoute" });
	}

	/** Adds an event to the console. */
	tell(level: ClusterEvent["level"], text: string): void {
		this.#events.add(level, text);
	}

	/**
	 * Stops in order. First only /ready answers 503, for as long as the strategy says. Then the balancer stops accepting, all shards drain at the same time, and the
	 * shared memory is removed: all within `--shutdown-timeout`, and no longer than needed. With `immediate`, the clients are closed first.
	 * @param strategy by default that of the options.
	 */
	async stop(reason: string, strategy = this.#facts.config.failover): Promise<void> {
		if (this.#ending !== "no") return;
		this.#ending = "announced";
		this.#stopping.abort();
		this.operations.end(`the cluster stops: ${reason}`);
		this.#afterCrash.stop();
		const { config, memory, mode } = this.#facts;
		// A cluster that is still starting has no clients yet, and one that failed should end at once.
		const drainDelayMs = this.#awaited.size > 0 || this.#failure !== null ? 0 : stopDelayMs(strategy, config.drainDelayMs);
		memory.state = ClusterState.stopping;
		this.#node?.draining();
		const connections = memory.connections();
		const remoteConnections = this.remotes.length > 0 ? this.#remoteConnections : undefined;
		const fields = { connections, remoteConnections, drainDelayMs, timeoutMs: config.shutdownTimeoutMs };
		const count = this.#shards.length;
		const processes = this.#facts.workers === "shard" ? counted(count, "shard") : counted(count, "process", "processes");
		const elsewhere = remoteConnections === undefined ? "" : `, ${remoteConnections} on remote shards`;
		const on = `${counted(connections, "connection")} on ${processes}${elsewhere}`;
		const stillTaken = drainDelayMs === 0 ? "" : `; new clients are accepted for another ${formatDuration(drainDelayMs)}`;
		this.#log.info(fields, `shutting down: ${reason}; ${on}${stillTaken}`);
		if (drainDelayMs > 0) await this.#delay(drainDelayMs);
		if (this.#ending !== "announced") return;
		this.#ending = "draining";
		for (const child of this.#children) child.end();
		// From now on the socket is closed when the balancer closes it.
		this.#facts.listening?.close();
		const beganMs = performance.now();
		const deadline = new Deadline(config.shutdownTimeoutMs);
		this.#boardWatch.stop();
		this.#guards?.stop();

		const isImmediate = strategy === "immediate";
		const firstStepMs = deadline.leftMs() * balancerShare;
		const balancerDrained = this.#balancer.drain(mode === "handoff" ? firstStepMs : deadline.leftMs());
		await this.#listenerClosed(balancerDrained, firstStepMs, isImmediate);
		const shardsDrained = this.#shards.map((shard) => shard.drain(deadline.leftMs(), isImmediate));
		const outcomes = await Promise.all([balancerDrained, ...shardsDrained]);
		// The webhooks report this, too.
		await this.#node?.leave();
		// The shards have ended, and their last events are in the rings.
		outcomes.push(await this.#drainWebhooks(deadline.leftMs()));
		// A second signal arrived meanwhile, and ends the process.
		if (this.#ending !== "draining") return;
		this.#end(this.#conclude(outcomes, performance.now() - beganMs));
	}

	async #drainWebhooks(leftMs: number): Promise<ChildDrained> {
		const cutOff = await this.#webhooks.drain(leftMs);
		return { cutOff, finished: true, ...(cutOff > 0 && { detail: `${cutOff} events of webhooks were not delivered` }) };
	}

	async #delay(ms: number): Promise<void> {
		try {
			await sleep(ms, undefined, { signal: this.#drainDelay.signal });
		} catch (error) {
			if (!this.#drainDelay.signal.aborted) throw error;
		}
	}

	/** Kills all processes at once. Unfinished work is lost. */
	async kill(reason: string): Promise<void> {
		if (this.#ending === "killing") return;
		const connections = this.#facts.memory.connections();
		const open = counted(connections, "connection");
		this.#log.warn({ connections }, `forced to stop: ${reason}; killing all processes, which cuts off ${open}`);
		await this.#killAll(1);
	}

	/** Logs the result of an ordered stop. @returns the exit status. */
	#conclude(outcomes: readonly ChildDrained[], tookMs: number): number {
		const cutOff = outcomes.reduce((sum, outcome) => sum + outcome.cutOff, 0);
		const finished = outcomes.every((outcome) => outcome.finished);
		const details = outcomes.flatMap((outcome) => outcome.detail ?? []);
		const fields = { cutOff, details, tookMs: Math.round(tookMs) };
		const took = `${(tookMs / 1000).toFixed(1)} s`;
		if (cutOff === 0 && finished) this.#log.info(fields, `shutdown complete: nothing was cut off, ${took}`);
		else this.#log.warn(fields, `shutdown complete: ${cutOff} cut off, ${finished ? "" : "not all processes finished, "}${took}`);
		return cutOff === 0 && finished ? 0 : 1;
	}

	async #killAll(status: number): Promise<void> {
		this.#ending = "killing";
		this.#stopping.abort();
		this.#facts.listening?.close();
		this.operations.end("the cluster is killed");
		this.#afterCrash.stop();
		this.#drainDelay.abort();
		this.#boardWatch.stop();
		this.#guards?.stop();
		await Promise.all([this.#node?.leave(), ...this.#children.map((child) => child.kill())]);
		this.#end(status);
	}

	/** Finishes when no child is left. */
	#end(status: number): void {
		this.#watchdog.stop();
		this.#webhooks.stop();
		this.#revocations.stop();
		this.#followed?.stop();
		void this.#facts.gateway?.stop();
		this.#facts.memory.remove();
		this.#ready.resolve(false);
		this.#finished.resolve({ status: this.#failure?.exitStatus ?? status, failure: this.#failure });
	}

	/**
	 * Waits until the balancer accepts no more. In proxy mode it carries its connections until the shards have closed them, so only its listener is
	 * waited for. In handoff mode it has handed over everything when it has drained; an immediate stop does not wait for that.
	 */
	async #listenerClosed(drained: Promise<unknown>, deadlineMs: number, isImmediate: boolean): Promise<void> {
		const over = { yes: false };
		void drained.then(() => {
			over.yes = true;
		});
		await until(() => over.yes || ((isImmediate || this.#facts.mode === "proxy") && this.#facts.memory.balancerDrains), deadlineMs);
	}

	#onReady(name: string, port: number | undefined): void {
		if (name === balancerName) this.#balancerPort = port;
		this.#awaited.delete(name);
		if (this.#ending !== "no") return;
		this.#events.add("info", `${name} serves`);
		if (this.#awaited.size > 0) return;
		this.#facts.memory.state = ClusterState.serving;
		const listens = parseAddress(this.#facts.config.lbAddr);
		this.#node?.serving({ ...listens, port: this.#balancerPort ?? listens.port });
		this.#ready.resolve(true);
	}

	#onSilent(name: string, silent: boolean): void {
		if (silent) this.#events.add("warn", `${name} does not respond`);
		else this.#events.add("info", `${name} responds again`);
	}

	#onNotReloaded(name: string, problem: string): void {
		const text = `${name} keeps its old options until the next reload or its next restart: ${problem}`;
		this.#log.error(text);
		this.#events.add("bad", text);
	}

	#onDeath(name: string): void {
		if (this.#ending === "no") this.#events.add("bad", `${name} died; restarting it`);
	}

	/** Stops a serving cluster in order, for its clients' sake. A cluster that never served has none. */
	#onFailure(error: StartupError): void {
		this.#failure ??= error;
		if (this.#ending === "announced") this.#drainDelay.abort();
		if (this.#ending !== "no") return;
		void (this.#awaited.size === 0 ? this.stop(error.message) : this.#killAll(error.exitStatus));
	}

	/** Kills a process that does not release the lock of a log. It is normally held for a microsecond, so the process is paused, and all publishers wait for it. */
	#checkLocks(passedMs: number): void {
		for (const { slot, heldMs } of this.#facts.memory.logs?.heldLocks(passedMs, lockHeldMsMax) ?? [])
			this.#shards[slot]?.onLockHeld(heldMs);
	}

	/** Tells all children that members have changed. A restarted shard has a new socket, which must be opened. */
	#announceMembership(): void {
		for (const child of this.#children) child.send({ type: "membership" });
	}
}

function asked(child: SupervisedChild): AskedProcess {
	return {
		name: child.name.replace(" ", "-"),
		isShard: child.name !== balancerName,
		request: (question, request, deadlineMs) => child.request(question, request, deadlineMs),
	};
}

function withResolvers<T>(): { promise: Promise<T>; resolve(value: T): void } {
	let resolve!: (value: T) => void;
	const promise = new Promise<T>((settle) => {
		resolve = settle;
	});
	return { promise, resolve };
}

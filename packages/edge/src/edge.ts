import { setTimeout as sleep } from "node:timers/promises";
import { addressBytes, type Certificate, type Config, parseAddress, readNodesTls } from "@shardcast/config";
import { edgeMetrics, noCertificateReloads, noReloads, redisMetrics, reloadMetrics, tlsMetrics } from "@shardcast/control";
import { allowedOrigins, proxyHeader, Router } from "@shardcast/http";
import { cannotListen, descriptorsMax } from "@shardcast/process";
import { Answers, ProxyPath, Responder, ServerContexts, type TargetLink, TargetTls } from "@shardcast/relay";
import type { BalancerCounter } from "@shardcast/scoreboard";
import { type Log, ProcessMetrics, renderMetrics } from "@shardcast/telemetry";
import { edgeRoutes } from "./edge-routes.ts";
import { NodeTargets } from "./node-targets.ts";
import { EdgeNodes } from "./nodes/edge-nodes.ts";
import { edgeHints } from "./nodes/node-check.ts";
import { RedisNodes } from "./nodes/redis-nodes.ts";
import { StaticNodes } from "./nodes/static-nodes.ts";

interface EdgeParts {
	/** With nodes or an address of Redis. */
	readonly config: Config;
	/** For TLS; the first is for clients without a known server name. Empty = no TLS. */
	readonly certificates: readonly Certificate[];
	readonly log: Log;
}

/** A node that has missed so many checks in a row gets no new clients. */
const missesMax = 2;

/**
 * Passes clients on to nodes: one listener, the proxy data path, and the checks of the nodes. Several edges work side by side and share nothing. It
 * handles no signals. One owner.
 */
export class Edge {
	readonly reloads = noReloads();
	readonly certificateReloads = noCertificateReloads();
	/** For people: the nodes that it passes clients on to. */
	readonly about: string;
	readonly #log: Log;
	readonly #nodes: EdgeNodes;
	readonly #targets: NodeTargets;
	readonly #responder: Responder;
	readonly #path: ProxyPath;
	readonly #contexts: ServerContexts | null;
	readonly #metrics = new ProcessMetrics("edge");
	readonly #counts = new Map<BalancerCounter, number>();
	#config: Config;
	#certificates: readonly Certificate[];
	#idleClosed = 0;
	#isDraining = false;

	/** @throws when a certificate cannot be used. */
	constructor({ config, certificates, log }: EdgeParts) {
		this.#config = config;
		this.#certificates = certificates;
		this.#log = log;
		const source = config.edgeNodes.length > 0 ? new StaticNodes(config.edgeNodes) : new RedisNodes(config, log);
		this.about = source.about;
		const { edgeSendProxy: sendProxy, edgeCheckTimeoutMs: timeoutMs, edgeCheckIntervalMs: checkIntervalMs, headBytesMax } = config;
		const nodesTls = readNodesTls(config);
		// The options have been checked.
		if (nodesTls !== null && "problem" in nodesTls) throw new Error(`--nodes-tls-ca ${nodesTls.problem.text}`);
		const targetTls = nodesTls === null ? null : new TargetTls(nodesTls);
		this.#nodes = new EdgeNodes({
			source,
			checkIntervalMs,
			check: { sendProxy, tls: targetTls, timeoutMs, ofShards: false, hints: edgeHints },
			missesMax,
			toldForMs: config.nodeTimeoutMs,
			onLost: () => this.#path.tick(),
			onTold: ({ id, known: { host, port } }, problem, before) => {
				const where = `node ${id} (${host}:${port})`;
				if (problem === null) log.info({ node: id }, `${where} gets clients`);
				else if (before === null || before === undefined) log.warn({ node: id, problem }, `${where} gets no new clients: it ${problem}`);
			},
			onLeft: ({ id }) => log.info({ node: id }, `node ${id} has left`),
		});
		const link: TargetLink = {
			// Of the connection, not of the request: a proxy in front may send requests of several clients through one connection.
			preface: sendProxy ? (address) => proxyHeader(addressBytes(address), "") : null,
			tls: targetTls,
			token: null,
			// A node may pass a client on to its remote shards.
			isLastHop: false,
			dialMs: config.edgeConnectTimeoutMs,
			answerMs: 0,
			idleMs: config.edgeIdleTimeoutMs,
			onIdle: () => this.#idleClosed++,
		};
		this.#targets = new NodeTargets({ nodes: this.#nodes, rules: () => this.#config, link });
		const routes = edgeRoutes({
			nodes: () => this.#nodes.all,
			sourceProblem: () => source.problem,
			isDraining: () => this.#isDraining,
			connections: () => this.#targets.connections,
			metrics: () => this.metrics(),
		});
		this.#responder = new Responder({
			count: (counter, amount) => void this.#counts.set(counter, (this.#counts.get(counter) ?? 0) + amount),
			answers: new Answers(new Router(routes, { allowedOrigins: allowedOrigins([]) }), headBytesMax),
			trustedProxies: config.trustedProxies,
			// Origins, keys and rates are for the nodes to judge.
			rules: () => null,
		});
		const contexts = certificates.length === 0 ? null : new ServerContexts(certificates);
		this.#contexts = contexts;
		this.#path = new ProxyPath({
			// No node is a remote shard.
			leavePerSecond: () => Number.POSITIVE_INFINITY,
			responder: this.#responder,
			targets: this.#targets,
			headBytesMax,
			headTimeoutMs: config.headTimeoutMs,
			proxyProtocol: config.proxyProtocol,
			secure: contexts === null ? null : (socket) => contexts.secure(socket),
			descriptorsMax: descriptorsMax(),
		});
		this.#metrics.addReading(edgeMetrics, () => ({
			counts: Object.fromEntries(this.#counts),
			pending: this.#path.pending,
			idleClosed: this.#idleClosed,
			nodes: this.#nodes.all.map((node) => ({ ...node, isUp: node.problem === null })),
		}));
		this.#metrics.addReading(reloadMetrics, () => this.reloads);
		if (certificates.length > 0)
			this.#metrics.addReading(tlsMetrics, () => ({ certificates: this.#certificates, reloads: this.certificateReloads }));
		if (source instanceof RedisNodes) this.#metrics.addReading(redisMetrics, () => source.redis);
	}

	get config(): Config {
		return this.#config;
	}

	/** Connections to nodes. */
	get connections(): number {
		return this.#targets.connections;
	}

	/** @returns the port that it listens on. @throws StartupError when it cannot listen. */
	async start(): Promise<number> {
		this.#nodes.start();
		const address = parseAddress(this.#config.edgeAddr);
		return this.#path.open(address).catch((error: unknown) => {
			this.#nodes.stop();
			throw cannotListen(error, address, "--edge-addr");
		});
	}

	/** Applies the options that may change while it serves. */
	reload(config: Config): void {
		this.#config = config;
		this.#log.level = config.logLevel;
		this.#responder.trustedProxies = config.trustedProxies;
		this.#path.headTimeoutMs = config.headTimeoutMs;
	}

	/** Sets the certificates for new connections. @throws Error when one cannot be used. Then nothing has changed. */
	useCertificates(certificates: readonly Certificate[]): void {
		this.#contexts?.use(certificates);
		this.#certificates = certificates;
	}

	async metrics(): Promise<string> {
		return renderMetrics([await this.#metrics.values()]);
	}

	/**
	 * Says for `--drain-delay` that it is not ready. Then stops listening, lets connections go on for `--drain-timeout`, and ends them.
	 * @returns how many were cut off.
	 */
	async drain(): Promise<number> {
		this.#isDraining = true;
		if (this.#config.drainDelayMs > 0) await sleep(this.#config.drainDelayMs);
		const cutOff = await this.#path.drain(this.#config.edgeDrainTimeoutMs);
		this.#nodes.stop();
		return cutOff;
	}
}

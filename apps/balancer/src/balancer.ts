import { Doorbells } from "@shardcast/bus";
import { type AuthConfig, authRequired, type Certificate, type Config, parseAddress } from "@shardcast/config";
import {
	adminCallWaitMsMax,
	type ClusterNode,
	type ClusterNodes,
	type RemoteReading,
	type RemoteReport,
	type SelectionCounts,
} from "@shardcast/control";
import {
	AdminAccess,
	type AdminAnswer,
	type AdminCall,
	type AdminRequestCounts,
	type AnswerRoute,
	adminRoutes,
	type BodyRoute,
	clusterRoutes,
	consoleRoutes,
	type FindSessions,
	NodeSelection,
	openAccess,
	proxyHeader,
	Router,
} from "@shardcast/http";
import { type ConnectionRateConfig, ConnectionRates, LimitAudit, RateTable } from "@shardcast/limits";
import { closeDescriptor, DescriptorChannel, SharedFile } from "@shardcast/native";
import { cannotListen, descriptorsMax, HeartbeatTimer, ProcessMonitor } from "@shardcast/process";
import { Answers, type DataPath, ProxyPath, Responder, type TargetLink } from "@shardcast/relay";
import { BalancerMode, type ClusterDirectory, type Scoreboard, ShardState } from "@shardcast/scoreboard";
import type { Log } from "@shardcast/telemetry";
import { monotonicMs, toldPerSecond } from "@shardcast/wire";
import { ClientRules } from "./client-rules.ts";
import { Handoff, laneDescriptorsMax } from "./handoff/handoff.ts";
import { HandoffPath } from "./handoff/handoff-path.ts";
import { measureHandoff, measureProxy } from "./pick/candidate.ts";
import { Picker, type PickerOptions } from "./pick/picker.ts";
import { PlacementKeys } from "./pick/placement-keys.ts";
import { ShardTargets } from "./proxy/shard-targets.ts";
import { AllShards } from "./remote/all-shards.ts";
import { dialingMax } from "./remote/remote-row.ts";
import { type RemoteConfig, RemoteShards } from "./remote/remote-shards.ts";
import { TlsEnd } from "./tls/tls-end.ts";

interface BalancerOptions {
	readonly board: Scoreboard;
	readonly directory: ClusterDirectory;
	readonly mode: "handoff" | "proxy";
	/** The shards' ends of their handoff sockets, by slot; empty in proxy mode. */
	readonly handoffDescriptors: readonly number[];
	/** A bound socket to listen on; null = it opens its own. */
	readonly listenDescriptor: number | null;
	/** The receiving end of the socket in which a predecessor has left connections; null = there is none. */
	readonly leftDescriptor: number | null;
	/** Puts a call of the admin interface to the supervisor. */
	readonly admin: (call: AdminCall) => Promise<AdminAnswer>;
	/** The text of GET /metrics, which the supervisor collects from all processes. */
	readonly collectMetrics: () => Promise<string>;
	/** Which nodes there are; null = this one works alone. */
	readonly nodes: () => Promise<ClusterNodes | null>;
	/** Which nodes clients belong to. */
	readonly sessions: FindSessions;
	readonly config: BalancerConfig;
	/** Certificates for TLS; the first is for clients without a known server name. Empty = no TLS. */
	readonly certificates: readonly Certificate[];
	/** Gets how remote shards are, whenever that changes. */
	readonly reportRemotes: (report: RemoteReport) => void;
	readonly log: Log;
	/** The routes of a gateway, whose processes it serves; null = it serves shards. */
	readonly gateway?: GatewayPages | null;
}

export type GatewayPages = (rules: { authRequired(): boolean; consoleToken(): string | undefined }) => AnswerRoute[];

type BalancerConfig = Pick<
	Config,
	| "lbAddr"
	| "host"
	| "headBytesMax"
	| "headTimeoutMs"
	| "allowedOrigins"
	| "trustedProxies"
	| "proxyProtocol"
	| "clientPublish"
	| "drainRate"
	| "selectStrategy"
	| "selectRegion"
	| "affinity"
	| "adminKey"
	| "lbStrategy"
	| "lbWeights"
	| "lbAffinity"
	| "lbAffinityFrom"
	| "rawTokenCookie"
	| "tokenUserIdClaim"
> &
	AuthConfig &
	ConnectionRateConfig &
	RemoteConfig;

const noAddress = new Uint8Array(16);

/** The balancer, independent of its process: the data path, and the balancer's row of the scoreboard, which only it writes. */
export class Balancer {
	readonly #options: BalancerOptions;
	readonly #monitor = new ProcessMonitor();
	readonly #doorbells: Doorbells;
	readonly #responder: Responder;
	readonly #dataPath: DataPath;
	readonly #tls: TlsEnd | null;
	readonly #heartbeat: HeartbeatTimer;
	readonly #selection: NodeSelection<ClusterNode>;
	readonly #rules: ClientRules;
	readonly #admin: AdminAccess;
	readonly #picker: Picker;
	readonly #keys: PlacementKeys;
	/** Null with handoff, which works on this machine only. */
	readonly #remotes: RemoteShards | null;
	#config: BalancerConfig;
	#port = 0;

	constructor(options: BalancerOptions) {
		const { board, directory, mode, config, certificates, log } = options;
		this.#options = options;
		this.#config = config;
		this.#rules = new ClientRules({
			allowedOrigins: config.allowedOrigins,
			rates: new ConnectionRates(config, new RateTable(SharedFile.open(directory.ratesPath).buffer)),
			audit: new LimitAudit(log),
			isOverloaded: () => this.#picker.isOverloaded,
		});
		this.#admin = new AdminAccess({
			key: () => this.#config.adminKey,
			isEncrypted: certificates.length > 0,
			warn: (fields, text) => log.warn(fields, text),
			nowMs: monotonicMs,
		});
		this.#selection = new NodeSelection({
			nodes: options.nodes,
			sessions: options.sessions,
			rules: () => this.#config,
			nowMs: monotonicMs,
		});
		this.#doorbells = new Doorbells(directory, board);
		this.#doorbells.openAll();
		const responder = new Responder({
			count: (counter, amount) => board.balancer.add(counter, amount),
			answers: new Answers(this.#router(), config.headBytesMax),
			trustedProxies: config.trustedProxies,
			rules: this.#rules.judge,
		});
		this.#responder = responder;
		const { headBytesMax, headTimeoutMs } = config;
		this.#tls = certificates.length === 0 ? null : new TlsEnd({ certificates, responder, headBytesMax, headTimeoutMs });
		const shared = {
			responder,
			headBytesMax,
			headTimeoutMs,
			tls: this.#tls,
			proxyProtocol: config.proxyProtocol,
			descriptorsMax: descriptorsMax(),
		};
		this.#remotes = mode === "handoff" ? null : this.#remoteShards();
		this.#picker = this.#newPicker(
			mode === "handoff"
				? { measure: measureHandoff, ownMax: laneDescriptorsMax }
				: { measure: measureProxy, ownMax: Number.POSITIVE_INFINITY },
		);
		this.#keys = new PlacementKeys(config);
		this.#dataPath = this.#remotes === null ? this.#handoffPath(shared) : this.#proxyPath(shared, this.#remotes);
		this.#heartbeat = new HeartbeatTimer({
			counters: board.balancer,
			sample: (beatLateMs) => this.#monitor.sample(beatLateMs),
			onBeat: () => this.#onBeat(),
		});
	}

	/** The port it listens on, once started. The kernel chooses one when the configuration says 0. */
	get port(): number {
		return this.#port;
	}

	async start(): Promise<void> {
		const { board, mode, config, listenDescriptor } = this.#options;
		board.balancer.state = ShardState.starting;
		board.balancer.mode = mode === "handoff" ? BalancerMode.handoff : BalancerMode.proxy;
		this.#showPlacement();
		this.#monitor.start();
		this.#remotes?.start();
		this.#heartbeat.start();
		const address = parseAddress(config.lbAddr);
		this.#port = await this.#dataPath.open(listenDescriptor === null ? address : { fd: listenDescriptor }).catch((error: unknown) => {
			throw cannotListen(error, address, (this.#options.gateway ?? null) === null ? "--lb-addr" : "--gateway-addr");
		});
		board.balancer.state = ShardState.serving;
	}

	/** Applies the options that may change while it serves. */
	reload(config: BalancerConfig): void {
		this.#config = config;
		this.#rules.change(config);
		this.#remotes?.use(config);
		this.#picker.use(config);
		this.#keys.use(config);
		this.#showPlacement();
		this.#responder.trustedProxies = config.trustedProxies;
		this.#dataPath.headTimeoutMs = config.headTimeoutMs;
		if (this.#tls !== null) this.#tls.headTimeoutMs = config.headTimeoutMs;
	}

	/** Sets the certificates for new connections. @throws Error when one cannot be used. Then nothing has changed. */
	useCertificates(certificates: readonly Certificate[]): void {
		this.#tls?.useCertificates(certificates);
	}

	/** @param replaced another process takes its place, and gets what this one need not finish. */
	async drain(deadlineMs: number, replaced = false): Promise<number> {
		// The listener is closed when this returns; the supervisor waits for this message before it drains the shards.
		const drained = this.#dataPath.drain(deadlineMs, replaced);
		this.#options.board.balancer.state = ShardState.draining;
		return drained;
	}

	async stop(): Promise<void> {
		this.#dataPath.close();
		this.#remotes?.stop();
		this.#heartbeat.stop();
		this.#monitor.stop();
		this.#doorbells.close();
	}

	#showPlacement(): void {
		const { balancer } = this.#options.board;
		balancer.strategy = this.#config.lbStrategy;
		balancer.affinity = this.#config.lbAffinity;
	}

	#handoffPath(shared: SharedOptions): DataPath {
		const { board, directory, handoffDescriptors, leftDescriptor } = this.#options;
		const left = leftDescriptor === null ? null : DescriptorChannel.inherited(leftDescriptor, directory.balancerPath);
		const picker = this.#picker;
		const handoff = new Handoff({
			openChannel: (slot) => DescriptorChannel.connect(directory.handoffPath(slot)),
			returns: handoffDescriptors.map((descriptor, slot) => DescriptorChannel.inherited(descriptor, directory.handoffPath(slot))),
			mayTakeBack: () => picker.mayTakeBack,
			hasRoom: () => dataPath.hasRoom,
			announce: (slot) => this.#doorbells.announceHandoff(slot),
			closeDescriptor,
			count: shared.responder.count,
			handoffMs: board.balancer.histograms.handoffMs,
			onReturn: (fd, sinceMs) => dataPath.takeBack(fd, sinceMs),
			onGone: (candidate) => picker.shun(candidate),
		});
		const successor = left === null ? null : { left, openChannel: () => DescriptorChannel.connect(directory.balancerPath) };
		const dataPath = new HandoffPath({ ...shared, picker, keys: this.#keys, handoff, successor });
		return dataPath;
	}

	#remoteShards(): RemoteShards {
		const { board, config, reportRemotes, log } = this.#options;
		return new RemoteShards({
			config,
			firstSlot: board.slotsMax,
			onLost: () => this.#dataPath.tick(),
			report: reportRemotes,
			log,
		});
	}

	#proxyPath(shared: SharedOptions, remotes: RemoteShards): DataPath {
		const { directory, config } = this.#options;
		const token = directory.proxyToken;
		// The client's address is in the head of each request.
		const preface = config.proxyProtocol ? proxyHeader(noAddress, token) : null;
		const link: TargetLink = {
			tls: null,
			token,
			preface: preface === null ? null : () => preface,
			isLastHop: false,
			// Connecting over loopback completes at once unless the shard's accept queue is full.
			dialMs: 1000,
			answerMs: 0,
			idleMs: 0,
			onIdle: () => {},
		};
		const host = dialHost(config.host);
		const targets = new ShardTargets({ picker: this.#picker, keys: this.#keys, host, link, remotes });
		const leavePerSecond = () => toldPerSecond(this.#config.drainRate);
		return new ProxyPath({ ...shared, secure: null, targets, leavePerSecond });
	}

	/** What it knows of remote shards. */
	get remotes(): RemoteReading {
		return this.#remotes?.readings ?? { shards: [], idleClosed: 0 };
	}

	/** Nodes selected for clients. */
	get selections(): SelectionCounts {
		return this.#selection.counts;
	}

	/** Requests of the admin interface. */
	get adminRequests(): AdminRequestCounts {
		return this.#admin.counts;
	}

	/** Pages of other origins may use none of these routes but that which selects a node. */
	#router(): Router<AnswerRoute | BodyRoute> {
		const { board, collectMetrics, admin, gateway = null } = this.#options;
		const orders = adminRoutes({ admit: this.#admin.admit, answer: admin, waitMsMax: adminCallWaitMsMax });
		if (gateway !== null) {
			const own = { authRequired: () => authRequired(this.#config), consoleToken: () => this.#config.consoleToken };
			return new Router([...gateway(own), ...orders], this.#rules);
		}
		const routes = [
			...consoleRoutes(() => ({ token: this.#config.consoleToken, authRequired: authRequired(this.#config) })),
			...clusterRoutes({
				board,
				access: () => openAccess(this.#config),
				metrics: collectMetrics,
				remotes: () => this.#remotes?.states ?? [],
			}),
			this.#selection.route,
			...orders,
		];
		return new Router(routes, this.#rules);
	}

	#newPicker(options: Pick<PickerOptions, "measure" | "ownMax">): Picker {
		const { board, config, gateway = null } = this.#options;
		const remotes = this.#remotes;
		const table = remotes === null ? board : new AllShards(board, remotes);
		return new Picker(table, {
			...options,
			dialingMax,
			rules: config,
			count: (counter) => board.balancer.add(counter, 1),
			nowMs: monotonicMs,
			processes: gateway === null ? "shards" : "processes of the gateway",
		});
	}

	#onBeat(): void {
		this.#options.board.balancer.pending = this.#dataPath.pending;
		this.#dataPath.tick();
		this.#remotes?.tick();
	}
}

interface SharedOptions {
	readonly responder: Responder;
	readonly headBytesMax: number;
	readonly headTimeoutMs: number;
	readonly proxyProtocol: boolean;
	readonly tls: TlsEnd | null;
	readonly descriptorsMax: number;
}

/** A shard that listens on every interface is reached over loopback. */
function dialHost(host: string): string {
	if (host === "0.0.0.0") return "127.0.0.1";
	return host === "::" ? "::1" : host;
}

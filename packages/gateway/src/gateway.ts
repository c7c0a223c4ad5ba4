import { setTimeout as sleep } from "node:timers/promises";
import { isRunning } from "@shardcast/bus";
import { type Certificate, type Config, parseAddress } from "@shardcast/config";
import {
	type Ask,
	adminCallWaitMsMax,
	adminRequestMetrics,
	type BackendPlace,
	disconnectQuestion,
	gatewayMetrics,
	noCertificateReloads,
	noReloads,
	PartAnswers,
	RevocationStore,
	reloadMetrics,
	sharedRevocationMetrics,
	tlsMetrics,
} from "@shardcast/control";
import { AdminAccess, adminRoutes, type Route } from "@shardcast/http";
import { AddressTable, RateTable } from "@shardcast/limits";
import { FollowedOrders } from "@shardcast/nodes";
import { cannotListen, clientsThatFit, Deadline } from "@shardcast/process";
import { type BoardRow, ClusterState, Scoreboard, ShardState } from "@shardcast/scoreboard";
import {
	ClientTokens,
	ConnectionCheck,
	closeAll,
	Listener,
	LiveConfig,
	limitByFiles,
	ShardRevocations,
	UserLimit,
} from "@shardcast/server/listening";
import { type Log, ProcessMetrics, renderMetrics } from "@shardcast/telemetry";
import { ClientEndpoint } from "./clients/client-endpoint.ts";
import { socketLowMark } from "./clients/client-output.ts";
import type { GatewayClient } from "./clients/gateway-client.ts";
import { GatewaySupervision } from "./cluster/gateway-supervision.ts";
import { gatewayRoutes, processesHealth } from "./gateway-routes.ts";
import { countedOwner } from "./member/counted-owner.ts";
import type { GatewayMember } from "./member/gateway-member.ts";
import { MemberUpkeep } from "./member/member-upkeep.ts";
import { type GatewayReport, gatewayReport } from "./monitor/gateway-report.ts";
import type { GatewayBus } from "./peers/gateway-bus.ts";
import { GatewayHub } from "./routing/gateway-hub.ts";
import { linkOptionsOf } from "./routing/link-options-of.ts";

interface GatewayParts {
	/** With backends or discovery. */
	readonly config: Config;
	/** For TLS; the first is for clients without a known server name. Empty = no TLS. */
	readonly certificates: readonly Certificate[];
	readonly log: Log;
	/** What it has as one of several processes; null = it is the only one. */
	readonly member?: GatewayMember | null;
}

/**
 * Connects WebSocket clients to TCP backends: alone, or as one of several processes. It handles no signals. This file only assembles its parts. One
 * owner.
 */
export class Gateway {
	readonly reloads = noReloads();
	readonly certificateReloads = noCertificateReloads();
	readonly hub: GatewayHub;
	/** Blocked users and revoked tokens. */
	readonly revocations: ShardRevocations;
	/** What nodes order; null = there is no Redis, or the supervisor hears it. */
	readonly #followed: FollowedOrders | null;
	readonly #log: Log;
	readonly #live: LiveConfig;
	readonly #check: ConnectionCheck;
	readonly #tokens: ClientTokens;
	readonly #userLimit: UserLimit;
	readonly #listener: Listener;
	/** Null = the supervisor of several processes has it. */
	readonly #supervision: GatewaySupervision | null;
	readonly #metrics: ProcessMetrics;
	/** Counts what the listener and the limits of a shard count. */
	readonly #row: BoardRow;
	/** Null = this is the only process. */
	readonly #member: GatewayMember | null;
	/** Likewise. */
	readonly #upkeep: MemberUpkeep | null;
	#certificates: readonly Certificate[];
	#second: NodeJS.Timeout | null = null;
	#isDraining = false;

	/** @throws when a certificate cannot be used. */
	constructor({ config, certificates, log, member = null }: GatewayParts) {
		this.#log = log;
		this.#member = member;
		this.#certificates = certificates;
		const live = new LiveConfig(config);
		this.#live = live;
		const board = member?.board ?? Scoreboard.inMemory(1);
		const row = board.row(member?.slot ?? 0);
		this.#row = row;
		if (member === null) row.connectionsGiven = config.maxConnections;
		this.#metrics = member?.metrics ?? new ProcessMetrics("gateway");
		const nowMs = () => performance.now();
		this.hub = new GatewayHub({
			config: () => live.config,
			linkOptions: linkOptionsOf(config),
			log,
			bus: member === null ? null : this.#busOf(member),
			left: (client) => {
				this.#check.left(client.addressSlot);
				this.#userLimit.left(client);
			},
			failed: (error) => this.#listener.failed("message", error),
			nowMs,
		});
		const { clients } = this.hub;
		const openTable = member?.openAddresses ?? (() => AddressTable.ofProcess(config.maxConnections));
		this.#check = new ConnectionCheck({
			options: {
				...{ config, row, board, log, isProxy: null },
				rates: member?.rates ?? RateTable.inMemory(),
				openAddresses: openTable,
			},
			live,
			clients: () => clients.all,
			process: member === null ? "gateway" : "process of the gateway",
		});
		this.#tokens = new ClientTokens({ config, live, log });
		this.#userLimit = new UserLimit({ config, slot: row.slot, openTable, counters: row, clients: () => clients.all });
		this.revocations = new ShardRevocations({ ask: member?.ask ?? this.#listed, log, clients: () => clients.snapshot() });
		const endpoint = new ClientEndpoint({
			...{ live, check: this.#check, tokens: this.#tokens, userLimit: this.#userLimit, revocations: this.revocations },
			...{ counters: row, owner: countedOwner(this.hub, row) },
			// What is sent while fewer bytes than this wait is one frame.
			bufferedBytesMax: 2 * socketLowMark + config.maxFrameBytes,
			hasRoom: () => clients.count < row.connectionsMax,
		});
		const routes = gatewayRoutes({
			report: member?.report ?? (() => this.report()),
			processes: member === null ? null : () => processesHealth(board),
			authRequired: () => live.authRequired,
			isDraining: () => this.#isDraining || board.clusterState === ClusterState.stopping,
			metrics: member?.collectMetrics ?? (() => this.metrics()),
			consoleToken: () => live.config.consoleToken,
		});
		this.#listener = new Listener({
			options: {
				...{ row, log, isProxy: null, certificates, config },
				// Clients of one of several processes come from the balancer.
				address: member === null ? parseAddress(config.gatewayAddr) : null,
				handoff: member?.handoff ?? null,
			},
			live,
			check: this.#check,
			rules: live,
			served: [{ name: "gateway", endpoints: [endpoint], routes: [...routes, ...this.#orders(certificates)] }],
		});
		this.#supervision = member === null ? new GatewaySupervision({ config, slots: [row.slot], log }) : null;
		this.#upkeep = member === null ? null : this.#upkeepOf(member);
		this.#metrics.addReading(gatewayMetrics, () => this.report());
		const parts = member?.parts ?? new PartAnswers();
		this.#takesOrders(parts);
		this.#followed = member === null && config.redisAddress !== undefined ? this.#follow(config, parts) : null;
		// The supervisor of several processes has these.
		if (member !== null) return;
		this.#metrics.addReading(reloadMetrics, () => this.reloads);
		if (certificates.length > 0)
			this.#metrics.addReading(tlsMetrics, () => ({ certificates: this.#certificates, reloads: this.certificateReloads }));
	}

	/** Of the supervisor, which keeps the list: blocked users, and clients to close. */
	#takesOrders(parts: PartAnswers): void {
		this.revocations.answers(parts);
		this.revocations.measures(this.#metrics);
		parts.add(disconnectQuestion, (request) => this.hub.disconnect(request));
	}

	#follow(config: Config, parts: PartAnswers): FollowedOrders {
		const followed = new FollowedOrders({
			config,
			kept: new RevocationStore({ folder: "", isShared: true, log: this.#log }),
			carryOut: async (question, request) => (await parts.answer(question, request)) as number,
			log: this.#log,
		});
		const { revocations } = followed;
		this.#metrics.addReading(sharedRevocationMetrics, () => ({ ...revocations.counts, pending: revocations.pending }));
		return followed;
	}

	/** The list, in a gateway of one process. */
	readonly #listed = (async () => this.#followed?.revocations.list ?? []) as unknown as Ask;

	/** The admin interface, for requests that the balancer cannot read. */
	#orders(certificates: readonly Certificate[]): readonly Route[] {
		const ask = this.#member?.admin;
		if (ask === undefined || certificates.length === 0) return [];
		const access = new AdminAccess({
			key: () => this.config.adminKey,
			isEncrypted: true,
			warn: (fields, text) => this.#log.warn(fields, text),
			nowMs: () => performance.now(),
		});
		this.#metrics.addReading(adminRequestMetrics, () => access.counts);
		return adminRoutes({ admit: access.admit, answer: ask, waitMsMax: adminCallWaitMsMax });
	}

	get config(): Config {
		return this.#live.config;
	}

	/** Connected clients. */
	get clients(): number {
		return this.hub.clients.count;
	}

	/** For people: the backends; "" = the supervisor of several processes tells. */
	get about(): string {
		return this.#supervision?.about ?? "";
	}

	/** @returns the port that it listens on. @throws StartupError when it cannot listen. */
	async start(): Promise<number> {
		const { config } = this;
		this.#row.state = ShardState.starting;
		limitByFiles({ row: this.#row, log: this.#log, connectionsFit: clientsThatFit() });
		try {
			await this.#supervision?.start((places) => this.useBackends(places));
			await this.#followed?.start();
			await this.revocations.start();
			await this.#listener.start();
		} catch (error) {
			await this.stop();
			throw cannotListen(error, parseAddress(config.gatewayAddr), "--gateway-addr");
		}
		this.useBackends(this.#supervision?.places ?? this.#member?.backends ?? []);
		this.hub.start();
		this.#upkeep?.start();
		this.#row.state = ShardState.serving;
		this.#second = setInterval(this.#everySecond, 1000);
		return this.#listener.port;
	}

	/** Uses these backends from now on. Called from outside only for one of several processes. */
	useBackends(places: readonly BackendPlace[]): void {
		this.hub.useBackends(places);
	}

	/** Applies the options that may change while it serves. @throws when a part cannot use them. Then nothing has changed. */
	reload(config: Config): void {
		this.#supervision?.check(config);
		const expelsAnonymous = this.#tokens.expelsAnonymous(config);
		const commits = [
			this.#live.prepare(config),
			this.#check.reload(config),
			this.#tokens.reload(config),
			this.#userLimit.prepare(config),
			this.#listener.reload(),
		];
		for (const commit of commits) commit();
		if (expelsAnonymous) this.hub.closeAnonymous();
		this.#log.level = config.logLevel;
		this.hub.update();
		// The supervisor does the rest for several processes.
		if (this.#supervision === null) return;
		this.#row.connectionsGiven = config.maxConnections;
		this.#supervision.reload(config);
	}

	/** Sets the certificates for new connections. @throws Error when one cannot be used. Then nothing has changed. */
	useCertificates(certificates: readonly Certificate[]): void {
		this.#listener.useCertificates(certificates);
		this.#certificates = certificates;
	}

	async metrics(): Promise<string> {
		return renderMetrics([await this.#metrics.values()]);
	}

	report(): GatewayReport {
		return gatewayReport({ hub: this.hub, row: this.#row, list: this.#supervision });
	}

	/**
	 * Says for `--drain-delay` that it is not ready. Then takes no new clients, closes those that there are, and ends the links to backends when what
	 * waits for them has been written.
	 * @returns how many clients were cut off, since they had not taken what waited for them.
	 */
	async drain(): Promise<number> {
		const { drainDelayMs, shutdownTimeoutMs } = this.config;
		this.#isDraining = true;
		if (drainDelayMs > 0) await sleep(drainDelayMs);
		return this.finish(shutdownTimeoutMs);
	}

	/** The same, without the delay, in this time. */
	async finish(timeoutMs: number): Promise<number> {
		const deadline = new Deadline(timeoutMs);
		this.#isDraining = true;
		this.#row.state = ShardState.draining;
		this.#check.drain();
		await this.#listener.drain(deadline.leftMs() / 4);
		const { hub } = this;
		// What clients have sent must not wait any longer than they do.
		hub.passAll();
		await closeAll({
			clients: () => hub.clients.all.map(leavingClient),
			close: ({ client }) => hub.close(client, "draining"),
			clientsPerSecond: this.config.drainRate,
			deadlineMs: deadline.leftMs() / 2,
			nowMs: () => performance.now(),
			pause: sleep,
			random: Math.random,
		});
		const late = hub.clients.snapshot();
		for (const client of late) hub.close(client, "draining");
		const cutOff = late.length;
		await hub.drain(deadline.leftMs());
		await this.stop();
		return cutOff;
	}

	/** Ends everything at once. */
	async stop(): Promise<void> {
		if (this.#second !== null) clearInterval(this.#second);
		this.#check.stop();
		this.hub.stop();
		await this.#supervision?.stop();
		this.#followed?.stop();
		this.#listener.stop();
		this.#upkeep?.stop();
		this.#member?.bus.close();
	}

	readonly #everySecond = (): void => {
		this.#check.everySecond();
		this.#listener.everySecond();
		this.revocations.everySecond();
		this.hub.closeExpired(Date.now() / 1000);
	};

	#busOf({ board, bus }: GatewayMember): GatewayBus {
		return {
			link: bus,
			incarnationOf: (slot) => {
				const { state, incarnation } = board.row(slot);
				return isRunning(state) ? incarnation : 0;
			},
			beforeTurn: () => this.#listener.intake?.take(),
		};
	}

	#upkeepOf({ bus, sample }: GatewayMember): MemberUpkeep {
		const { hub } = this;
		return new MemberUpkeep({ row: this.#row, bus, counts: hub.counts, sample, onOverslept: () => hub.streams?.tick() });
	}
}

/** As `closeAll` sees a client: those that are behind are closed last. */
function leavingClient(client: GatewayClient) {
	return {
		client,
		get place() {
			return client.place;
		},
		transport: { getBufferedAmount: () => (client.queues.output.isBehind ? 1 : 0) },
	};
}

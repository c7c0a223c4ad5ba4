import { setTimeout as sleep } from "node:timers/promises";
import { type Certificate, type Config, parseAddress } from "@shardcast/config";
import { gatewayMetrics, noCertificateReloads, noReloads, reloadMetrics, tlsMetrics } from "@shardcast/control";
import { AddressTable, RateTable } from "@shardcast/limits";
import { cannotListen, clientsThatFit, Deadline } from "@shardcast/process";
import { Scoreboard } from "@shardcast/scoreboard";
import { ClientTokens, ConnectionCheck, closeAll, Listener, LiveConfig, limitByFiles, UserLimit } from "@shardcast/server/listening";
import { type Log, ProcessMetrics, renderMetrics } from "@shardcast/telemetry";
import { ClientEndpoint } from "./clients/client-endpoint.ts";
import { socketLowMark } from "./clients/client-output.ts";
import type { GatewayClient } from "./clients/gateway-client.ts";
import { Discovery } from "./discovery/discovery.ts";
import { gatewayRoutes } from "./gateway-routes.ts";
import { type GatewayReport, gatewayReport } from "./monitor/gateway-report.ts";
import { GatewayHub } from "./routing/gateway-hub.ts";
import { linkOptionsOf } from "./routing/link-options-of.ts";

interface GatewayParts {
	/** With backends or discovery. */
	readonly config: Config;
	/** For TLS; the first is for clients without a known server name. Empty = no TLS. */
	readonly certificates: readonly Certificate[];
	readonly log: Log;
}

/**
 * Connects WebSocket clients to TCP backends, in one process. It handles no signals. This file only assembles its parts. One owner.
 */
export class Gateway {
	readonly reloads = noReloads();
	readonly certificateReloads = noCertificateReloads();
	readonly hub: GatewayHub;
	readonly #log: Log;
	readonly #live: LiveConfig;
	readonly #check: ConnectionCheck;
	readonly #tokens: ClientTokens;
	readonly #userLimit: UserLimit;
	readonly #listener: Listener;
	readonly #discovery: Discovery | null;
	readonly #metrics = new ProcessMetrics("gateway");
	/** Its only row counts what the listener and the limits of a shard count. */
	readonly #board = Scoreboard.inMemory(1);
	readonly #row = this.#board.row(0);
	#certificates: readonly Certificate[];
	#second: NodeJS.Timeout | null = null;
	#isDraining = false;

	/** @throws when a certificate cannot be used. */
	constructor({ config, certificates, log }: GatewayParts) {
		this.#log = log;
		this.#certificates = certificates;
		const live = new LiveConfig(config);
		this.#live = live;
		const row = this.#row;
		row.connectionsGiven = config.maxConnections;
		const nowMs = () => performance.now();
		this.hub = new GatewayHub({
			config: () => live.config,
			linkOptions: linkOptionsOf(config),
			log,
			left: (client) => {
				this.#check.left(client.addressSlot);
				this.#userLimit.left(client);
			},
			nowMs,
		});
		const { clients } = this.hub;
		const openTable = () => AddressTable.inMemory(2 * config.maxConnections);
		this.#check = new ConnectionCheck({
			options: {
				...{ config, row, board: this.#board, log, isProxy: null },
				rates: RateTable.inMemory(),
				openAddresses: openTable,
			},
			live,
			clients: () => clients.all,
		});
		this.#tokens = new ClientTokens({ config, live, log });
		this.#userLimit = new UserLimit({ config, slot: row.slot, openTable, counters: row, clients: () => clients.all });
		const endpoint = new ClientEndpoint({
			...{ live, check: this.#check, tokens: this.#tokens, userLimit: this.#userLimit, counters: row, owner: this.hub },
			// What is sent while fewer bytes than this wait is one frame.
			bufferedBytesMax: 2 * socketLowMark + config.maxFrameBytes,
			hasRoom: () => clients.count < row.connectionsMax,
		});
		const routes = gatewayRoutes({
			report: () => this.report(),
			authRequired: () => live.authRequired,
			isDraining: () => this.#isDraining,
			metrics: () => this.metrics(),
			consoleToken: () => live.config.consoleToken,
		});
		this.#listener = new Listener({
			options: { row, log, address: parseAddress(config.gatewayAddr), handoff: null, isProxy: null, certificates, config },
			live,
			check: this.#check,
			rules: live,
			served: [{ name: "gateway", endpoints: [endpoint], routes }],
		});
		this.#discovery = config.discover ? this.#discoveryOf(config) : null;
		this.#metrics.addReading(gatewayMetrics, () => this.report());
		this.#metrics.addReading(reloadMetrics, () => this.reloads);
		if (certificates.length > 0)
			this.#metrics.addReading(tlsMetrics, () => ({ certificates: this.#certificates, reloads: this.certificateReloads }));
	}

	get config(): Config {
		return this.#live.config;
	}

	/** Connected clients. */
	get clients(): number {
		return this.hub.clients.count;
	}

	/** For people: the backends. */
	get about(): string {
		const { gatewayBackends: backends } = this.config;
		const named = backends.length === 0 ? "" : `the backend${backends.length === 1 ? "" : "s"} ${backends.join(", ")}`;
		if (this.#discovery === null) return named;
		const found = `backends that announce themselves on UDP port ${this.#discovery.port}`;
		return named === "" ? found : `${named}, and ${found}`;
	}

	/** @returns the port that it listens on. @throws StartupError when it cannot listen. */
	async start(): Promise<number> {
		const { config } = this;
		limitByFiles({ row: this.#row, log: this.#log, connectionsFit: clientsThatFit() });
		try {
			await this.#discovery?.start();
			await this.#listener.start();
		} catch (error) {
			await this.stop();
			throw cannotListen(error, parseAddress(config.gatewayAddr), "--gateway-addr");
		}
		this.#useBackends(config);
		this.hub.start();
		this.#second = setInterval(this.#everySecond, 1000);
		return this.#listener.port;
	}

	/** Applies the options that may change while it serves. @throws when a part cannot use them. Then nothing has changed. */
	reload(config: Config): void {
		if (config.gatewayBackends.length === 0 && this.#discovery === null)
			throw new Error("there would be no backends left; name at least one in gateway.backends, or restart with --discover");
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
		this.#row.connectionsGiven = config.maxConnections;
		this.#log.level = config.logLevel;
		this.hub.update();
		this.#useBackends(config);
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
		return gatewayReport({ hub: this.hub, row: this.#row, discovery: this.#discovery });
	}

	/**
	 * Says for `--drain-delay` that it is not ready. Then takes no new clients, closes those that there are, and ends the links to backends when what
	 * waits for them has been written.
	 * @returns how many clients were cut off, since they had not taken what waited for them.
	 */
	async drain(): Promise<number> {
		const { drainDelayMs, shutdownTimeoutMs, drainRate } = this.config;
		this.#isDraining = true;
		if (drainDelayMs > 0) await sleep(drainDelayMs);
		const deadline = new Deadline(shutdownTimeoutMs);
		this.#check.drain();
		await this.#listener.drain(deadline.leftMs() / 4);
		const { hub } = this;
		await closeAll({
			clients: () => hub.clients.all.map(leavingClient),
			close: ({ client }) => hub.close(client, "draining"),
			clientsPerSecond: drainRate,
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
		await this.#discovery?.stop();
		this.#listener.stop();
	}

	readonly #everySecond = (): void => {
		this.#check.everySecond();
		this.#listener.everySecond();
		this.hub.closeExpired(Date.now() / 1000);
	};

	#useBackends({ gatewayBackends }: Config): void {
		const places = gatewayBackends.map((address) => parseAddress(address));
		this.hub.backends.useStatic(places.map(({ host, port }) => ({ host: host!, port })));
		this.#useFound();
	}

	/** There may be room for backends that found none. */
	#useFound(): void {
		for (const found of this.#discovery?.backends ?? []) this.hub.backends.add(found, "discovered");
	}

	#discoveryOf({ discoveryPort, discoverySecret, discoveryNetworks }: Config): Discovery {
		return new Discovery(
			{
				listen: { port: discoveryPort },
				secrets: discoverySecret === undefined ? [] : [discoverySecret],
				networks: discoveryNetworks,
				flag: "--discovery-port",
			},
			{
				log: this.#log,
				onFound: (backend) => void this.hub.backends.add(backend, "discovered"),
				onGone: ({ address }) => {
					this.hub.backends.remove(address, "discovered");
					this.#useFound();
				},
			},
		);
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

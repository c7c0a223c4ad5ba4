import type { Config } from "@shardcast/config";
import type { BackendPlace } from "@shardcast/control";
import type { Log } from "@shardcast/telemetry";
import { Discovery, type DiscoveryParts } from "../discovery/discovery.ts";
import { aboutBackends, checkBackendsLeft } from "../gateway-access.ts";
import type { GatewayReport } from "../monitor/gateway-report.ts";
import { BackendDirectory } from "./backend-directory.ts";
import { mergeReports } from "./merge-reports.ts";

interface GatewaySupervisionParts {
	readonly config: Config;
	/** Slots of the processes. */
	readonly slots: readonly number[];
	readonly log: Log;
}

/**
 * What stands above the processes of a gateway: it keeps the list of backends, and discovers them. One owner: the supervisor, or the process itself if
 * it is the only one.
 */
export class GatewaySupervision {
	readonly #directory: BackendDirectory;
	readonly #discovery: Discovery | null;
	readonly #config: Config;
	#send: (places: readonly BackendPlace[]) => void = () => {};

	constructor({ config, slots, log }: GatewaySupervisionParts) {
		const directory = new BackendDirectory({ slots, log, onChange: (places) => this.#send(places) });
		this.#config = config;
		this.#directory = directory;
		this.#discovery = config.discover
			? discoveryOf(config, {
					log,
					onFound: (backend) => directory.add(backend, "discovered"),
					onGone: ({ address }) => {
						directory.remove(address, "discovered");
						this.#useFound();
					},
				})
			: null;
		directory.useStatic(config.gatewayBackends);
	}

	/** The backends, for a process that starts. */
	get places(): readonly BackendPlace[] {
		return this.#directory.places;
	}

	/** For people: the backends. */
	get about(): string {
		return aboutBackends(this.#config, this.#discovery?.port ?? null);
	}

	/** What has come of announcements; null = backends are not discovered. */
	get discovery(): GatewayReport["discovery"] {
		if (this.#discovery === null) return null;
		const { accepted, refused, errors } = this.#discovery;
		return { accepted, refused: { ...refused }, errors };
	}

	/** Times that there were too many backends for one more. */
	get backendsRefused(): number {
		return this.#directory.refused;
	}

	/** @param send gives all processes the backends, after each change. @throws StartupError when it cannot listen for announcements. */
	async start(send: (places: readonly BackendPlace[]) => void): Promise<void> {
		this.#send = send;
		await this.#discovery?.start();
	}

	processServes(slot: number): void {
		this.#directory.processServes(slot);
	}

	processDied(slot: number): void {
		this.#directory.processDied(slot);
	}

	/** Call it before `reload`. @throws Error when these options cannot be used. */
	check(config: Pick<Config, "gatewayBackends">): void {
		checkBackendsLeft(config, this.#discovery);
	}

	/** Applies the options that may change while it runs. */
	reload({ gatewayBackends }: Pick<Config, "gatewayBackends">): void {
		this.#directory.useStatic(gatewayBackends);
		this.#useFound();
	}

	/** Merges the reports of processes; a backend whose process has not answered is not up. */
	report(parts: readonly GatewayReport[]): GatewayReport {
		const merged = mergeReports(parts);
		const reported = new Set(merged.backends.map(({ id }) => id));
		const missing = this.places.filter(({ id }) => !reported.has(id)).map(unreported);
		const backends = [...merged.backends, ...missing].sort((one, other) => one.id - other.id);
		return { ...merged, backends, backendsRefused: this.backendsRefused, discovery: this.discovery };
	}

	async stop(): Promise<void> {
		await this.#discovery?.stop();
	}

	/** There may be room for backends that found none. */
	#useFound(): void {
		for (const found of this.#discovery?.backends ?? []) this.#directory.add(found, "discovered");
	}
}

function discoveryOf({ discoveryPort, discoverySecret, discoveryNetworks }: Config, parts: DiscoveryParts): Discovery {
	const options = {
		listen: { port: discoveryPort },
		secrets: discoverySecret === undefined ? [] : [discoverySecret],
		networks: discoveryNetworks,
		flag: "--discovery-port",
	};
	return new Discovery(options, parts);
}

function unreported({ id, address, name, owner }: BackendPlace): GatewayReport["backends"][number] {
	return {
		...{ id, address, name, process: owner, isUp: false, breaker: "unknown", failures: 0, opened: 0, dials: 0, ups: 0, ends: {} },
		...{ sentFrames: 0, sentBytes: 0, receivedFrames: 0, receivedBytes: 0, undelivered: 0, waiting: 0, stopped: { client: 0 } },
	};
}

import { ConnectionCheck } from "../../limits/connection-check.ts";
import { Clients } from "../../sessions/clients.ts";
import { ClientEvents } from "../../webhooks/client-events.ts";
import type { LiveConfig } from "../live-config.ts";
import type { ShardOptions } from "../shard-options.ts";

interface ShardClientsParts {
	readonly options: ShardOptions;
	readonly live: LiveConfig;
	/** Resolves when everything that was published has been delivered. */
	readonly delivered: () => Promise<void>;
	/** The number of files that were open before the first client connected. */
	readonly openAtStart: () => number;
}

/** The clients of a shard: who may connect, those who are connected, and their events for webhooks. */
export class ShardClients {
	readonly check: ConnectionCheck;
	readonly events: ClientEvents;
	readonly clients: Clients;

	constructor({ options, live, delivered, openAtStart }: ShardClientsParts) {
		const { config, row, log, openClientEvents: open } = options;
		const all = () => this.clients.sessions.all;
		this.check = new ConnectionCheck({ options, live, clients: all });
		this.events = new ClientEvents({ config, open, counters: row, log }, all);
		this.clients = new Clients({ options, live, check: this.check, events: this.events, delivered, openAtStart });
	}
}

import type { Log } from "@shardcast/telemetry";
import { BoundedLines } from "@shardcast/telemetry";
import { type AddressKey, formatAddressKey } from "./address-key.ts";
import type { ConnectionRateRefusal } from "./connection-rates.ts";

export type ConnectionLimit = ConnectionRateRefusal | "connections_per_ip";

/** The option behind each limit. */
const flags = {
	connection_rate: "--connection-rate",
	connection_rate_per_ip: "--connection-rate-per-ip",
	connections_per_ip: "--max-connections-per-ip",
} as const satisfies Readonly<Record<ConnectionLimit, string>>;

const everyMs = 10_000;

/**
 * Audit lines for connections that a limit refused: one when it begins to bite, then at most one per limit in ten seconds, which tells
 * how many there were in between. Whoever is attacked must not be drowned in its own log.
 */
export class LimitAudit {
	readonly #log: Log;
	readonly #lines: Readonly<Record<ConnectionLimit, BoundedLines>>;

	constructor(log: Log, nowMs?: () => number) {
		const lines = () => new BoundedLines(everyMs, nowMs);
		this.#log = log;
		this.#lines = { connection_rate: lines(), connection_rate_per_ip: lines(), connections_per_ip: lines() };
	}

	refused(limit: ConnectionLimit, address: AddressKey): void {
		this.#lines[limit].offer((leftOut) => {
			const from = formatAddressKey(address);
			const more = leftOut === 0 ? "" : `, and ${leftOut} more since the line before`;
			const fields = { audit: "connection_refused", limit, address: from, leftOut };
			this.#log.warn(fields, `${flags[limit]} bites: refused a connection from ${from}${more}`);
		});
	}
}

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
 * Logs connections that a limit refused: the first at once, then at most one line per limit in ten seconds, with the number in between. An
 * attack must not flood the log.
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
			this.#log.warn(fields, `${flags[limit]} is reached: refused a connection from ${from}${more}`);
		});
	}
}

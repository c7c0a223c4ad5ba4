import type { RampReport, SendReport } from "../generator.ts";
import type { Machine } from "../machine.ts";
import type { LoadTestOptions } from "../options.ts";
import type { ProcessUsage, ShardConnections } from "../servers.ts";

/** Everything that a load test found; a part is missing when the test did not get that far. */
export interface LoadTestResult {
	readonly machine: Machine;
	readonly options: LoadTestOptions;
	ramp?: RampReport;
	shards?: { readonly connections: readonly ShardConnections[]; readonly spreadPercent: number };
	hold?: HoldReport;
	/** Of each node; what is not known is missing. */
	nodes?: readonly NodeResult[];
	send?: SendReport;
	/** Of the send phase. Empty when the server's processes are not known. */
	servers?: readonly ProcessUsage[];
	cpuUsPerDelivery?: number;
	/** Where an interrupted send phase was. */
	interrupted?: { readonly open: number; readonly sent: number; readonly received: number };
	/** Why the figures may be the load generator's and not the server's; empty = they are the server's. */
	readonly warnings: string[];
	/** Why the test failed; empty = passed. */
	readonly problems: string[];
}

export interface NodeResult {
	readonly address: string;
	readonly connections: number;
	readonly connectsPerSecond: number;
	pssBytesPerConnection?: number;
	/** Of its processes, in the send phase. */
	cpuMs?: number;
	/** Deliveries to its clients. */
	expected?: number;
	received?: number;
	p50Ms?: number;
	p99Ms?: number;
}

interface HoldReport {
	/** CPU of all server processes while nothing was sent, in percent of one core. */
	readonly cpuPercent: number;
	readonly pssBytesBefore: number;
	readonly pssBytesAfter: number;
	readonly pssBytesPerConnection: number;
}

/** What makes a load test fail. */
export function rampProblems(ramp: RampReport, connections: number): string[] {
	if (ramp.opened === connections) return [];
	return [`${connections - ramp.opened} of ${connections} connections did not open${listed(ramp.failures)}`];
}

export function sendProblems(send: SendReport): string[] {
	const { delivery } = send;
	const problems: string[] = [];
	const found = (count: number, what: string): void => {
		if (count > 0) problems.push(`${count} ${what}`);
	};
	found(send.planned - send.sent, `of ${send.planned} messages were not taken by the server`);
	found(delivery.lost, "deliveries lost");
	found(delivery.duplicated, "deliveries doubled");
	found(delivery.reordered, "deliveries out of order");
	found(delivery.unexpected, "deliveries that should not have been made");
	const refused = Object.values(send.refusals).reduce((sum, count) => sum + count, 0);
	if (refused > 0) problems.push(`${refused} messages refused${listed(send.refusals)}`);
	const broken = Object.values(send.brokenOff).reduce((sum, count) => sum + count, 0);
	if (broken > 0) problems.push(`${broken} connections ended during the test${listed(send.brokenOff)}`);
	return problems;
}

function listed(kinds: Readonly<Record<string, number>>): string {
	const list = Object.entries(kinds).map(([what, count]) => `${count} × ${what}`);
	return list.length > 0 ? `: ${list.join("; ")}` : "";
}

/** A thread this busy, or this late, measures itself and not the server. */
const busyUtilization = 0.9;
const lateLagMs = 30;

/**
 * CPU that the load generator may use, in cores: one per thread, and at most half of the machine's, since the server needs
 * the others. One core is never too much by itself.
 */
const coresFor = (threads: number, cores: number): number => Math.max(1, Math.min(threads, cores / 2));

/**
 * Why the figures may be the load generator's and not the server's; empty = they are the server's.
 *
 * @param cores that the machine has, which generator and server share.
 */
export function generatorWarnings(send: SendReport, cores: number): string[] {
	const warnings: string[] = [];
	const usedCores = send.cpuMs / 1000 / send.seconds;
	if (usedCores > busyUtilization * coresFor(send.threads.length, cores))
		warnings.push(
			`the load generator used ${Math.round(usedCores * 100)} % of a core on a machine with ${cores}: its own CPU is the likely bottleneck, so the figures say little about the server; give it fewer --connections, a lower --rate, or a machine with more cores`,
		);
	const busiest = Math.max(...send.threads.map(({ utilization }) => utilization));
	const laggiest = Math.max(...send.threads.map(({ lagP99Ms }) => lagP99Ms));
	if (busiest > busyUtilization)
		warnings.push(
			`the load generator's busiest thread was busy ${Math.round(busiest * 100)} % of the time: give it more --threads or a lower --rate`,
		);
	if (laggiest > lateLagMs)
		warnings.push(`the load generator's event loop was ${Math.round(laggiest)} ms late (p99): latencies are partly its own`);
	if (send.lateMsMax > lateLagMs) warnings.push(`messages were sent up to ${Math.round(send.lateMsMax)} ms later than planned`);
	return warnings;
}

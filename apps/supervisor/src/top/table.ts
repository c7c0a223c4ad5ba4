import { type BalancerCounter, BalancerMode, guardReason, type RowSnapshot, type ShardCounter, ShardState } from "@shardcast/scoreboard";
import type { Sample } from "./sample.ts";

const stateNames = invert(ShardState);
const modeNames = invert(BalancerMode);

/** Formats the changes between two samples: totals, one line per shard or process of a gateway, one for the balancer, and one per guard that acts. */
export function formatTable(before: Sample, now: Sample): string[] {
	const seconds = Math.max((now.atMs - before.atMs) / 1000, 0.001);
	const shards = now.rows.map((row) =>
		shardCells(
			row,
			before.rows.find(({ slot }) => slot === row.slot),
			seconds,
		),
	);
	return [
		summary(before, now, seconds),
		"",
		...align([[isGateway(now) ? "GATEWAY" : "SHARD", ...shardTitles], ...shards]),
		"",
		...align([balancerTitles, balancerCells(before, now, seconds)]),
		...(now.guards.length === 0 ? [] : ["", ...now.guards.map((guard) => `GUARD  ${guardReason(guard)}`)]),
	];
}

function isGateway({ rows }: Sample): boolean {
	return rows.some(isProcessOfGateway);
}

/** Each shard has its port; the processes of a gateway have none. They have other queues, which the gateway's report shows. */
function isProcessOfGateway({ pid, port }: RowSnapshot): boolean {
	return pid !== 0 && port === 0;
}

const shardTitles = [
	...["PID", "CORE", "STATE", "CONNS", "MAX", "IN/S", "OUT/S", "CPU%", "LAG ms", "RSS"],
	...["SLOW", "UNREAD", "BUS DEPTH", "RESTARTS"],
];

function shardCells(row: RowSnapshot, before: RowSnapshot | undefined, seconds: number): string[] {
	const rate = (counter: ShardCounter) => perSecond(before?.counters[counter], row.counters[counter], seconds);
	const { counters } = row;
	const depth = counters.ringBytes === 0 ? "-" : `${Math.round((100 * counters.busDepthBytes) / counters.ringBytes)}%`;
	return [
		String(row.slot),
		row.pid === 0 ? "-" : String(row.pid),
		row.core < 0 ? "-" : String(row.core),
		stateNames[row.state] ?? "?",
		String(row.connections),
		String(row.connectionsMax),
		count(rate("messagesIn")),
		count(rate("deliveries")),
		cpuPercent(rate("cpuMs")),
		counters.loopLagP99Ms.toFixed(1),
		mebibytes(counters.residentBytes),
		...(isProcessOfGateway(row) ? ["-", "-"] : [String(counters.clientsBehind), mebibytes(counters.unreadBytes)]),
		depth,
		String(row.restarts),
	];
}

const balancerTitles = ["BALANCER", "STATE", "MODE", "PENDING", "ACCEPT/S", "HANDED/S", "PROXIED/S", "REFUSED/S", "CPU%", "LAG ms", "RSS"];

const refusals: readonly BalancerCounter[] = [
	"refusedBusy",
	"refusedBadRequest",
	"refusedHeadTimeout",
	"refusedHeadTooLong",
	"refusedForbidden",
	"refusedProxyHeader",
	"refusedOverloaded",
];

function balancerCells(before: Sample, now: Sample, seconds: number): string[] {
	const { state, pid, mode, pending, counters } = now.balancer;
	const rate = (counter: BalancerCounter) => perSecond(before.balancer.counters[counter], counters[counter], seconds);
	return [
		pid === 0 ? "-" : String(pid),
		stateNames[state] ?? "?",
		modeNames[mode] ?? "?",
		String(pending),
		count(rate("accepted")),
		count(rate("handedOff")),
		count(rate("proxied")),
		count(refusals.reduce((sum, counter) => sum + rate(counter), 0)),
		cpuPercent(rate("cpuMs")),
		counters.loopLagP99Ms.toFixed(1),
		mebibytes(counters.residentBytes),
	];
}

function summary(before: Sample, now: Sample, seconds: number): string {
	const sum = (sample: Sample, counter: ShardCounter) => sample.rows.reduce((total, row) => total + row.counters[counter], 0);
	const rate = (counter: ShardCounter) => count(perSecond(sum(before, counter), sum(now, counter), seconds));
	const connections = now.rows.reduce((total, row) => total + row.connections, 0);
	const max = now.rows.reduce((total, row) => total + row.connectionsMax, 0);
	const load = `${connections} of ${max} connections, ${rate("messagesIn")} messages/s in, ${rate("deliveries")} deliveries/s out`;
	return `shardcast ${now.supervisorPid}  ${now.state}  ${load}`;
}

/** A counter that went down belongs to a restarted cluster: no rate yet. */
function perSecond(before: number | undefined, now: number, seconds: number): number {
	return before === undefined || now < before ? 0 : (now - before) / seconds;
}

/** CPU time in ms per second; the counter restarts with each process, which `perSecond` allows for. */
function cpuPercent(msPerSecond: number): string {
	return (msPerSecond / 10).toFixed(1);
}

function count(number: number): string {
	if (number >= 1e7) return `${(number / 1e6).toFixed(1)}M`;
	if (number >= 1e5) return `${(number / 1e3).toFixed(1)}k`;
	return String(Math.round(number));
}

function mebibytes(bytes: number): string {
	return `${Math.round(bytes / 1_048_576)}M`;
}

/** Right-aligned columns, two spaces apart. */
function align(rows: readonly (readonly string[])[]): string[] {
	const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
	return rows.map((row) => row.map((cell, column) => cell.padStart(widths[column])).join("  "));
}

function invert<T extends Readonly<Record<string, number>>>(names: T): Readonly<Record<number, string>> {
	return Object.fromEntries(Object.entries(names).map(([name, value]) => [value, name]));
}

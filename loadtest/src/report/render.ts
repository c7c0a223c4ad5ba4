import { formatDuration } from "@shardcast/config";
import type { Stage } from "../stages/stages.ts";
import { describeThreshold } from "../thresholds/threshold.ts";
import type { LoadTestResult } from "./result.ts";
import { counted, number, table } from "./table.ts";

const mib = (bytes: number): string => number(bytes / 1024 ** 2);
const percent = (share: number): string => `${number(share)} %`;

/** The result for people: one paragraph per phase, as far as the test got. */
export function renderResult(result: LoadTestResult): string {
	const parts = [
		machine(result),
		ramp(result),
		hold(result),
		send(result),
		nodes(result),
		servers(result),
		thresholds(result),
		verdict(result),
	];
	return parts.filter((part) => part !== "").join("\n\n");
}

function machine({ machine, merged, options }: LoadTestResult): string {
	const { clientStages, rateStages } = options;
	const audience = options.scenario === "broadcast" ? "broadcast" : `${number(options.channels)} channels`;
	const what = options.protocol === "raw" ? audience : `${options.protocol}, ${audience}`;
	const times = merged !== undefined && merged.length > 1 ? `${merged.length} × ` : "";
	const clients = clientStages === null ? number(options.connections) : `${times}${stagesOf(clientStages)}`;
	const rate = rateStages === null ? number(options.rate) : `${times}${stagesOf(rateStages)}`;
	const places = (merged ?? [{ file: null, machine }]).map(({ file, machine: { cpu, cores, kernel, node, date } }) =>
		[...(file === null ? [] : [`${file}:`]), `${cpu}, ${counted(cores, "core")}, ${kernel}, Node ${node}, ${date}`].join(" "),
	);
	return [
		...places,
		`${clients} connections, ${what}, ${number(options.senders)} senders, ${rate} messages/s of ${options.bytes} bytes`,
	].join("\n");
}

function ramp({ ramp, connects, shards, nodes = [], options }: LoadTestResult): string {
	if (ramp === undefined) return "";
	const latency =
		connects === undefined || connects.latency.count === 0
			? ""
			: `; ${number(connects.latency.p50Ms)} ms each (p50), ${number(connects.latency.p99Ms)} ms (p99)`;
	const lines =
		options.clientStages === null || connects === undefined
			? [
					`connect  ${number(ramp.opened)} of ${number(options.connections)} connections in ${number(ramp.seconds)} s: ${number(Math.round(ramp.connectsPerSecond))}/s${latency}`,
				]
			: [`connect  ${number(connects.opened)} of ${number(connects.attempted)} connections over time${latency}`];
	if (shards !== undefined && shards.connections.length > 0) {
		const list = shards.connections.map(({ id, connections }) => `${id}: ${number(connections)}`).join(", ");
		// The table of nodes has the connections of each.
		lines.push(`shards   ${nodes.length > 1 ? shards.connections.length : list}; spread ${percent(shards.spreadPercent)}`);
	}
	return lines.join("\n");
}

function hold({ hold }: LoadTestResult): string {
	if (hold === undefined) return "";
	const each = hold.pssBytesPerConnection / 1024;
	// What the processes give back meanwhile may be more than a few connections take.
	const memory = each > 0 ? `${number(each)} KiB per connection` : "too few connections to tell what one takes";
	return `idle     ${percent(hold.cpuPercent)} of a core; ${mib(hold.pssBytesAfter)} MiB, ${memory}`;
}

function send({ send, series, interrupted }: LoadTestResult): string {
	const early =
		interrupted === undefined
			? []
			: [
					`interrupted with ${number(interrupted.open)} connections open, ${number(interrupted.sent)} messages sent, ${number(interrupted.received)} deliveries received`,
				];
	if (send === undefined) return early.join("\n");
	const { latency } = send;
	const perSecond = Math.round(send.deliveries / send.seconds);
	return [
		...early,
		`send     ${number(send.sent)} messages, ${number(send.deliveries)} of ${number(send.expected)} deliveries in ${number(send.seconds)} s: ${number(perSecond)}/s`,
		table(
			["latency", "p50", "p90", "p95", "p99", "p99.9", "max"],
			[["ms", ...[latency.p50Ms, latency.p90Ms, latency.p95Ms, latency.p99Ms, latency.p999Ms, latency.maxMs].map(number)]],
		),
		...worstInterval(series),
	].join("\n");
}

/** When latency was worst, if the load was long enough to tell. */
function worstInterval(series: LoadTestResult["series"]): string[] {
	const points = (series?.points ?? []).filter(({ p99Ms }) => p99Ms !== null);
	if (series === undefined || points.length < 5) return [];
	const worst = points.reduce((one, other) => (other.p99Ms! > one.p99Ms! ? other : one));
	const { intervalSeconds } = series;
	return [
		`worst    p99 ${number(worst.p99Ms!)} ms in the ${intervalSeconds === 1 ? "second" : `${intervalSeconds} s`} from ${worst.second} s on, with ${number(worst.clients)} clients and ${number(worst.sent / intervalSeconds)} messages/s`,
	];
}

function stagesOf(stages: readonly Stage[]): string {
	return stages.map(({ from, to, ms }) => `${from === to ? from : `${from}-${to}`}:${formatDuration(ms)}`).join(",");
}

function thresholds({ thresholds }: LoadTestResult): string {
	return thresholds.map(describeThreshold).join("\n");
}

/** One row per node, when there are several. */
function nodes({ nodes = [], ramp, hold, send }: LoadTestResult): string {
	if (nodes.length < 2) return "";
	const cell = (value: number | undefined): string => (value === undefined ? "" : number(value));
	const kib = (bytes: number | undefined): string => (bytes !== undefined && bytes > 0 ? number(bytes / 1024) : "");
	const rows = nodes.map((node) => [
		node.address,
		number(node.connections),
		number(Math.round(node.connectsPerSecond)),
		kib(node.pssBytesPerConnection),
		node.received === undefined ? "" : `${number(node.received)} of ${cell(node.expected)}`,
		cell(node.p50Ms),
		cell(node.p99Ms),
		node.cpuMs === undefined ? "" : number(Math.round(node.cpuMs)),
	]);
	const cpuMs = nodes.reduce((sum, node) => sum + (node.cpuMs ?? 0), 0);
	rows.push([
		"all nodes",
		cell(ramp?.opened),
		ramp === undefined ? "" : number(Math.round(ramp.connectsPerSecond)),
		kib(hold?.pssBytesPerConnection),
		send === undefined ? "" : `${number(send.deliveries)} of ${number(send.expected)}`,
		cell(send?.latency.p50Ms),
		cell(send?.latency.p99Ms),
		cpuMs > 0 ? number(Math.round(cpuMs)) : "",
	]);
	return table(["node", "connections", "connects/s", "KiB each", "deliveries", "p50 ms", "p99 ms", "CPU ms"], rows);
}

function servers({ servers, send, merged, cpuUsPerDelivery }: LoadTestResult): string {
	if (send === undefined) return "";
	const seconds = send.seconds;
	const share = (cpuMs: number): string => percent(cpuMs / (seconds * 10));
	const rows = (servers ?? []).map(({ name, pid, cpuMs, pssBytes }) => [
		name,
		String(pid),
		number(Math.round(cpuMs)),
		share(cpuMs),
		number((cpuMs * 1000) / send.deliveries),
		mib(pssBytes),
	]);
	if (servers !== undefined && servers.length > 0) {
		const cpuMs = servers.reduce((sum, server) => sum + server.cpuMs, 0);
		const pssBytes = servers.reduce((sum, server) => sum + server.pssBytes, 0);
		rows.push(["all of the server", "", number(Math.round(cpuMs)), share(cpuMs), number(cpuUsPerDelivery ?? 0), mib(pssBytes)]);
	}
	rows.push([
		"load generator",
		merged === undefined ? String(process.pid) : "",
		number(Math.round(send.cpuMs)),
		share(send.cpuMs),
		number((send.cpuMs * 1000) / send.deliveries),
		"",
	]);
	return table(["process", "pid", "CPU ms", "of a core", "µs/delivery", "Pss MiB"], rows);
}

function verdict({ problems, warnings, send, thresholds, interrupted }: LoadTestResult): string {
	const crossed = thresholds.filter((threshold) => threshold.crossed);
	const lines = warnings.map((warning) => `warning: ${warning}`);
	if (problems.length > 0) {
		lines.push("FAILED", ...problems.map((problem) => `  ${problem}`));
		for (const example of send?.delivery.examples ?? []) lines.push(`    ${example}`);
	} else if (crossed.length > 0) lines.push("FAILED", ...crossed.map(({ text }) => `  the threshold ${text.trim()} is crossed`));
	else if (interrupted !== undefined && send !== undefined) lines.push("interrupted: nothing was wrong until then");
	else if (send !== undefined)
		lines.push(hasFlaws(send) ? "passed: no threshold is crossed" : "passed: every client got every message exactly once, in order");
	else if (interrupted !== undefined) lines.push("interrupted: nothing is proved");
	return lines.join("\n");
}

/** What thresholds let pass. */
function hasFlaws({ delivery }: NonNullable<LoadTestResult["send"]>): boolean {
	return delivery.lost + delivery.duplicated + delivery.reordered + delivery.unexpected > 0;
}

import { formatDuration } from "@shardcast/config";
import type { ClusterEvent, ShardCountReading } from "@shardcast/control";
import { counted } from "../../counted.ts";
import { type AdminCluster, defineVerb, type OperationSummary } from "../verb.ts";

const eventsShown = 5;

/** The state of the cluster, from the scoreboard: it waits for no process. */
export const status = defineVerb({
	name: "status",
	summary: "Show the state of the cluster: its processes, clients, operations in progress and latest events.",
	arguments: {},
	changes: false,
	workers: ["shard", "gateway"],
	example: "status --json",
	async run(_args, { cluster, warn }) {
		const { reasons, status: health, ...state } = cluster.health();
		const backends = await backendsOf(cluster, warn);
		return {
			version: cluster.version,
			command: cluster.command,
			pid: cluster.pid,
			startedAt: cluster.startedAt,
			address: cluster.address(),
			health,
			reasons: [...reasons, ...(backends?.problems ?? [])],
			...state,
			...(cluster.shards !== null && { scaling: cluster.shards.follow.scaling }),
			logLevel: cluster.config().logLevel,
			...(backends !== null && { backends: backends.list }),
			operations: cluster.operations(),
			events: cluster.events().slice(-eventsShown),
		};
	},
	describe: (state) => {
		const { version, command, pid, startedAt, address, health, connections, maxConnections, balancer, mode } = state;
		const up = timeSince(startedAt);
		const rows = [
			["balancer", String(balancer.pid), balancer.status, mode, address ?? "-", ""],
			...state.shards.map((shard) => [
				`${command === "multi" ? "shard" : "gateway"} ${shard.id}`,
				String(shard.pid),
				shard.status,
				shard.core === null ? "not pinned" : `CPU ${shard.core}`,
				`${shard.connections} of ${shard.max} connections`,
				shard.restarts === 0 ? "" : counted(shard.restarts, "restart"),
			]),
			...(state.remoteShards ?? []).map((remote) => [
				"remote",
				remote.id,
				remote.status,
				`weight ${remote.weight}`,
				`${remote.connections} of ${remote.max} connections`,
				`${remote.open} through this balancer`,
			]),
		];
		return [
			`shardcast ${version} ${command}, supervisor ${pid}, up ${up}: ${health}, ${connections} of ${maxConnections} connections`,
			...state.reasons.map((reason) => `! ${reason}`),
			...(state.scaling === undefined ? [] : scalingLines(state.scaling)),
			...aligned(rows).map((row) => `  ${row}`),
			...(state.backends ?? []).map(
				(backend) => `  backend ${backend.id} (${backend.address}): ${backend.isUp ? "connected" : "not connected"}`,
			),
			...state.operations.map(operationLine),
			...(state.events.length === 0 ? [] : ["latest events:", ...state.events.map((event) => `  ${eventLine(event)}`)]),
		];
	},
});

/** Only what is not as everybody expects. */
function scalingLines({ wanted, present, followsCpus }: ShardCountReading): string[] {
	const source = followsCpus ? "; the number follows the CPUs" : "";
	if (wanted !== present) return [`! ${present} of ${wanted} shards that are wanted${source}`];
	return followsCpus ? [`  ${present} shards, as wanted${source}`] : [];
}

/** The backends of a gateway; null in a cluster of shards, and when they cannot be had now. */
async function backendsOf({ gateway }: AdminCluster, warn: (text: string) => void) {
	if (gateway === null) return null;
	try {
		const { backends } = await gateway();
		const list = backends.map(({ id, address, isUp }) => ({ id, address, isUp }));
		const problems = list.filter(({ isUp }) => !isUp).map(({ id, address }) => `backend ${id} (${address}) is not connected`);
		return { list, problems };
	} catch (error) {
		warn(`the state of the backends is unknown: ${(error as Error).message}`);
		return null;
	}
}

export function operationLine({ id, command, who, startedAt, step }: OperationSummary): string {
	return `operation${id === null ? "" : ` ${id}`}: ${command}, by ${who}, for ${timeSince(startedAt)}${step === "" ? "" : `: ${step}`}`;
}

function timeSince(startedAt: number): string {
	const seconds = Math.floor((Date.now() - startedAt) / 1000);
	return seconds < 1 ? "less than 1s" : formatDuration(seconds * 1000);
}

function eventLine({ at, level, text }: ClusterEvent): string {
	return `${new Date(at).toISOString()}  ${level === "info" ? "" : `${level}: `}${text}`;
}

/** Left-aligned columns, two spaces apart. */
function aligned(rows: readonly (readonly string[])[]): string[] {
	const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
	return rows.map((row) =>
		row
			.map((cell, column) => cell.padEnd(widths[column]!))
			.join("  ")
			.trimEnd(),
	);
}

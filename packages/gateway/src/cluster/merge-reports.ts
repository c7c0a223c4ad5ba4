import type { GatewayReport } from "../monitor/gateway-report.ts";

type Numbers = Readonly<Record<string, number>>;
type Queues = GatewayReport["queues"];
type Tiers = GatewayReport["buffers"]["tiers"];

/** The report of a gateway of several processes: sums over them, and the backends of each. Those have the discovery of none. */
export function mergeReports(parts: readonly GatewayReport[]): GatewayReport {
	const all = <T>(read: (part: GatewayReport) => T): T[] => parts.map(read);
	const sum = (read: (part: GatewayReport) => number) => total(all(read));
	return {
		clients: {
			open: sum(({ clients }) => clients.open),
			max: sum(({ clients }) => clients.max),
			opened: sum(({ clients }) => clients.opened),
			closed: sums(all(({ clients }) => clients.closed)),
			refused: sums(all(({ clients }) => clients.refused)),
			callbackErrors: sum(({ clients }) => clients.callbackErrors),
		},
		frames: sums(all(({ frames }) => frames)),
		bytes: sums(all(({ bytes }) => bytes)),
		dropped: sums(all(({ dropped }) => dropped)),
		refused: sums(all(({ refused }) => refused)),
		acks: summed(all(({ acks }) => acks)),
		latency: {
			count: sum(({ latency }) => latency.count),
			seconds: sum(({ latency }) => latency.seconds),
			mostSeconds: most(all(({ latency }) => latency.mostSeconds)),
		},
		queues: queues(all((part) => part.queues)),
		held: sum(({ held }) => held),
		deferred: sum(({ deferred }) => deferred),
		buffers: {
			reservedBytes: sum(({ buffers }) => buffers.reservedBytes),
			bytesMax: sum(({ buffers }) => buffers.bytesMax),
			refused: sum(({ buffers }) => buffers.refused),
			overShare: sum(({ buffers }) => buffers.overShare),
			tiers: tiers(all(({ buffers }) => buffers.tiers)),
		},
		backends: parts.flatMap(({ backends }) => backends).sort((one, other) => one.id - other.id),
		bus: bus(parts),
		backendsRefused: sum(({ backendsRefused }) => backendsRefused),
		discovery: null,
	};
}

function total(values: readonly number[]): number {
	return values.reduce((sum, value) => sum + value, 0);
}

function most(values: readonly number[]): number {
	return values.reduce((most, value) => Math.max(most, value), 0);
}

function sums(all: readonly Numbers[]): Record<string, number> {
	const names = new Set(all.flatMap((each) => Object.keys(each)));
	return Object.fromEntries([...names].map((name) => [name, total(all.map((each) => each[name] ?? 0))]));
}

/** Objects of which each member is a number. */
function summed<T extends object>(all: readonly T[]): T {
	return sums(all as readonly unknown[] as readonly Numbers[]) as unknown as T;
}

/** Each counts the others. */
function bus(parts: readonly GatewayReport[]): GatewayReport["bus"] {
	const all = parts.flatMap((part) => part.bus ?? []);
	if (all.length === 0) return null;
	return {
		peers: most(all.map(({ peers }) => peers)),
		records: sums(all.map(({ records }) => records)),
		bytes: sums(all.map(({ bytes }) => bytes)),
		troubles: sums(all.map(({ troubles }) => troubles)),
	};
}

function queues(all: readonly Queues[]): Queues {
	const names = new Set(all.flatMap((each) => Object.keys(each)));
	const queue = (name: string): Queues[string] => {
		const these = all.flatMap((each) => each[name] ?? []);
		// A high water is that of one queue.
		return { ...summed(these), highWater: most(these.map(({ highWater }) => highWater)) };
	};
	return Object.fromEntries([...names].map((name) => [name, queue(name)]));
}

function tiers(all: readonly Tiers[]): Tiers {
	const [first = []] = all;
	return first.map(({ bytes }, index) => ({ ...summed(all.flatMap((each) => each[index] ?? [])), bytes }));
}

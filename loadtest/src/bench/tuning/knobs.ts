import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { ManagedProcess, machineBusyMs } from "@shardcast/testkit";
import type { LoadGenerator } from "../../generator.ts";
import { sendProblems } from "../../report/result.ts";
import { type BenchResult, runBench } from "../support/report.ts";
import { benchClients, connectAll, withCleanup } from "../support/subject.ts";
import { type FlaggedCluster, startClusterWithFlags } from "./flagged-cluster.ts";

/** Flags of `shardcast multi` to be compared under one load of short messages to everybody. */
interface KnobLoad<Variant extends string> {
	readonly name: string;
	readonly rounds: number;
	readonly connections: number;
	/** Messages per second. */
	readonly rate: number;
	readonly bytes: number;
	readonly variants: Readonly<Record<Variant, FlaggedCluster>>;
	readonly baseline: NoInfer<Variant>;
	/** Programs beside it that would each take a CPU for themselves (0). */
	readonly neighbours?: number;
}

const durationMs = 3_000;
const settleMs = 5_000;

const figures = {
	cpuUsPerDelivery: { unit: "µs", better: "lower", help: "CPU of supervisor, balancer and shards per message received by a client" },
	deliveriesPerSecond: { unit: "1/s", better: "higher", compared: false },
	p50Ms: { unit: "ms", better: "lower" },
	p99Ms: { unit: "ms", better: "lower" },
	otherCpuPercent: {
		unit: "% of a core",
		better: "lower",
		compared: false,
		help: "CPU that all else took meanwhile, the idle clusters of the other variants too",
	},
} as const;
type Figure = keyof typeof figures;

/** All clusters run and stay connected throughout and are loaded in turn; an idle one costs 0.3 % of a core. */
export function compareKnobs<Variant extends string>(load: KnobLoad<Variant>): Promise<BenchResult<Figure, Variant>> {
	return withCleanup(async (ends) => {
		const variants = {} as Record<Variant, () => Promise<Record<Figure, number>>>;
		for (const [name, flagged] of Object.entries(load.variants) as [Variant, FlaggedCluster][]) {
			const cluster = await startClusterWithFlags(flagged);
			ends.push(cluster.stop);
			const generator = benchClients(cluster.target, load.connections);
			ends.push(() => generator.close("reset"));
			await connectAll(generator, load.connections);
			variants[name] = () => measure(cluster.servers, generator, load);
		}
		const { name, rounds, connections, rate, bytes, baseline, neighbours = 0 } = load;
		for (let index = 0; index < neighbours; index++) {
			const busy = await ManagedProcess.start(join(import.meta.dirname, "busy-program.js"));
			ends.push(async () => void (await busy.stop()));
		}
		const setup = { connections, messagesPerSecond: rate, bytes, seconds: durationMs / 1000, neighbours };
		return runBench<Figure, Variant>({ name, rounds, warmups: 1, figures, variants, baseline, setup });
	});
}

/** @throws when a message was lost, doubled or out of order. */
async function measure(
	servers: { cpuMs(): number },
	generator: LoadGenerator,
	{ rate, bytes }: { readonly rate: number; readonly bytes: number },
): Promise<Record<Figure, number>> {
	const startedMs = performance.now();
	const [machineMs, serversMs] = [machineBusyMs(), servers.cpuMs()];
	let [machineTakenMs, cpuMs, tookMs] = [0, 0, 0];
	const onArrived = (): void => {
		cpuMs = servers.cpuMs() - serversMs;
		machineTakenMs = machineBusyMs() - machineMs;
		tookMs = performance.now() - startedMs;
	};
	const send = await generator.send({ rate, bytes, durationMs, settleMs, onArrived });
	const problems = sendProblems(send);
	if (problems.length > 0) throw new Error(problems.join("; "));
	return {
		cpuUsPerDelivery: (cpuMs * 1000) / send.deliveries,
		deliveriesPerSecond: send.deliveries / send.seconds,
		p50Ms: send.latency.p50Ms,
		p99Ms: send.latency.p99Ms,
		otherCpuPercent: (Math.max(0, machineTakenMs - cpuMs - send.cpuMs) / tookMs) * 100,
	};
}

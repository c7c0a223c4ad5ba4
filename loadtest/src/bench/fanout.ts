import { sendProblems } from "../result.ts";
import { number } from "../table.ts";
import { roundsFrom, runBench, type Target } from "./report.ts";
import {
	benchClients,
	benchProgram,
	benchShards,
	connectAll,
	type Subject,
	startBareServer,
	startBenchCluster,
	withEnds,
} from "./subject.ts";

/**
 * What a delivery costs: CPU of all server processes, two shards behind the balancer, against one bare uWebSockets.js process
 * that publishes each message as it comes; same clients, same load. All servers run and stay connected throughout, and are
 * loaded in turn; the idle ones cost next to nothing, which the idle bench shows.
 */
const bytes = 128;
const durationMs = 4_000;
const loads: readonly {
	readonly connections: number;
	readonly rate: number;
	readonly targets: readonly Target<"cpuUsPerDelivery" | "p99Ms", "handoff">[];
}[] = [
	{ connections: 5_000, rate: 20, targets: [{ variant: "handoff", figure: "cpuUsPerDelivery", ratioAtMost: 1.1 }] },
	{
		connections: 1_000,
		rate: 500,
		targets: [
			{ variant: "handoff", figure: "cpuUsPerDelivery", ratioAtMost: 0.75 },
			{ variant: "handoff", figure: "p99Ms", ratioAtMost: 1 },
		],
	},
];

const rounds = roundsFrom(process.argv.slice(2), 5);

await benchProgram(async (ends) => {
	const started = async <S extends Subject>(starting: Promise<S>): Promise<S> => {
		const subject = await starting;
		ends.push(subject.stop);
		return subject;
	};
	const bare = await started(startBareServer());
	const handoff = await started(startBenchCluster("handoff"));
	const proxy = await started(startBenchCluster("proxy"));

	for (const { connections, rate, targets } of loads) {
		await withEnds(async (loadEnds) => {
			const loaded = async (subject: Subject) => {
				const generator = benchClients(subject.target, connections);
				loadEnds.push(() => generator.close("reset"));
				await connectAll(generator, connections);
				return async () => {
					const cpuMsBefore = subject.servers.cpuMs();
					let cpuMs = 0;
					const send = await generator.send({
						rate,
						bytes,
						durationMs,
						settleMs: 5_000,
						onArrived: () => {
							cpuMs = subject.servers.cpuMs() - cpuMsBefore;
						},
					});
					const problems = sendProblems(send);
					if (problems.length > 0) throw new Error(problems.join("; "));
					const busiest = Math.max(...send.threads.map(({ utilization }) => utilization));
					return {
						cpuUsPerDelivery: (cpuMs * 1000) / send.deliveries,
						p50Ms: send.latency.p50Ms,
						p99Ms: send.latency.p99Ms,
						clientBusyPercent: busiest * 100,
					};
				};
			};
			await runBench({
				name: `fanout-${rate}x${connections}`,
				rounds,
				warmups: 1,
				figures: {
					cpuUsPerDelivery: {
						unit: "µs",
						better: "lower",
						help: "CPU of all server processes (supervisor, balancer, shards) per message received by a client",
					},
					p50Ms: { unit: "ms", better: "lower" },
					p99Ms: {
						unit: "ms",
						better: "lower",
						help: "from the sender's write to the receiver's read, on the machine that servers and clients share",
					},
					clientBusyPercent: {
						unit: "%",
						better: "lower",
						help: "busiest thread of the load generator: above 90 the latencies are its own",
					},
				},
				baseline: "bare",
				variants: { bare: await loaded(bare), handoff: await loaded(handoff), proxy: await loaded(proxy) },
				targets,
				setup: { connections, messagesPerSecond: rate, deliveriesPerSecond: number(rate * (connections - 1)), bytes, shards: benchShards },
			});
		});
		console.log("");
	}
});
